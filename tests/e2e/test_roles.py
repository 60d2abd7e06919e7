"""Workers in other containers than the business logic, as real processes on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from apart import api, project, worker
from callers import Callers
from certificates import Authority
from ports import kept_port
from server import Server
from waiting import until

LIMIT_S = 120.0


def doubled(number: int) -> tuple[object, object]:
    return {"x": [[float(number)]]}, [[number * 2.0]]


def serving(url: str, number: int) -> set[int]:
    """Processes of workers that have answered, once there are so many."""
    found: set[int] = set()

    def asked() -> bool:
        # Two at a time: a free worker that has waited longest is given the next.
        found.add(httpx.post(f"{url}/pid", json={}, timeout=LIMIT_S).json())
        return len(found) >= number

    until(asked)
    return found


def kill_container(server: Server) -> None:
    """As `docker kill` does: nothing in it gets to say goodbye."""
    for pid in [server.pid, *server.pids()]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait()


def test_containers_come_and_go_under_load(tmp_path: Path) -> None:
    """One is killed, its address is taken by another, one is told to stop: no request notices."""
    folder = project(tmp_path / "p")
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(kept_port(host)) for host in ("127.0.0.1", "127.0.0.2")]
        at = f"127.0.0.1:{ports[0]},127.0.0.2:{ports[1]}"
        one = stack.enter_context(worker(folder, host="127.0.0.1", port=ports[0]))
        here = stack.enter_context(api(folder, at))  # ready with one of two
        answer = httpx.post(f"{here.base_url}/double", json={"x": [[1.0, 2.0], [3.0, 4.0]]})
        assert (answer.status_code, answer.json()) == (200, [[2.0, 4.0], [6.0, 8.0]])
        assert httpx.post(f"{here.base_url}/secrets", json={}).json() == ["", ""]
        assert (here.pids("worker"), one.pids("server")) == ([], [])
        assert 'tiffin_peers{service="apart"} 1.0' in metrics(one.base_url)
        assert httpx.get(f"{one.base_url}/readyz").json()["ready"]
        two = stack.enter_context(worker(folder, host="127.0.0.2", port=ports[1]))
        connected(here, 4)
        assert serving(here.base_url, 4) == {*one.pids("worker"), *two.pids("worker")}
        with Callers(f"{here.base_url}/slow", doubled) as callers:
            callers.more()
            kill_container(one)
            callers.more(100)
            three = stack.enter_context(worker(folder, host="127.0.0.1", port=ports[0]))
            connected(here, 4)
            assert two.stop() == 0
            callers.more()
        assert set(callers.answers) == {"right"}, callers.answers
        assert serving(here.base_url, 2) == set(three.pids("worker"))


def test_a_worker_container_with_tls_grows_shrinks_and_reloads(tmp_path: Path) -> None:
    """Its API container was there first, and waits for it."""
    folder = project(tmp_path / "p")
    secret = tmp_path / "token"
    secret.write_text("the same for both of them\n")
    authority = Authority(tmp_path / "ca")
    environ = {"TIFFIN_TOKEN": "", "TIFFIN_TOKEN_FILE": str(secret), "TIFFIN_TLS_CA": authority.file}
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(kept_port())
        here = stack.enter_context(
            api(folder, f"twice=dns:localhost:{port}", wait=False, **environ, **tls(authority, "web"))
        )
        here.wait_event("listening")
        until(lambda: status(f"{here.base_url}/readyz") == 503)
        assert "runner 'twice' has no worker" in httpx.get(f"{here.base_url}/readyz").json()["reasons"]
        refused = httpx.post(f"{here.base_url}/soon", json={}, timeout=LIMIT_S)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1"), refused.text
        there = stack.enter_context(worker(folder, port=port, **environ, **tls(authority, "localhost")))
        here.wait_ready()
        assert status(f"{here.base_url}/readyz") == 200
        with Callers(f"{here.base_url}/slow", doubled) as callers:
            callers.more()
            for number in (3, 1):
                scale(there, f"twice={number}")
                connected(here, number)
                callers.more()
            before = set(there.pids("worker"))
            there.process.send_signal(signal.SIGHUP)
            there.wait_event("reloaded")
            connected(here, 1)
            callers.more()
        assert set(callers.answers) == {"right"}, callers.answers
        assert not serving(here.base_url, 1) & before
        assert "no workers of runner 'twice' run here" in scale(here, "twice=2", code=2)


def tls(authority: Authority, name: str) -> dict[str, str]:
    cert, key = authority.issue(name)
    return {"TIFFIN_TLS_CERT": cert, "TIFFIN_TLS_KEY": key}


def status(url: str) -> int:
    try:
        return httpx.get(url, timeout=LIMIT_S).status_code
    except httpx.TransportError:
        return 0


def scale(server: Server, *words: str, code: int = 0) -> str:
    """`bundle scale`; what it said."""
    command = [sys.executable, "-m", "tiffin", "scale", *words, "--pid", str(server.pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def connected(server: Server, number: int) -> None:
    """Until so many workers in other containers are."""
    line = f'tiffin_remote_workers{{runner="twice",service="apart"}} {number:.1f}'
    until(lambda: line in metrics(server.base_url))


def metrics(url: str) -> str:
    return httpx.get(f"{url}/metrics", timeout=LIMIT_S).text
