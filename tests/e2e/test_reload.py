"""`bundle reload` and SIGHUP on a real server: swapped without a failed request, or not at all."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crowd
import httpx
import pytest
from server import Server

V1 = crowd.SOURCE
V2 = crowd.SOURCE.replace("VERSION = 1", "VERSION = 2")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home and an empty project."""
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    (tmp_path / "project").mkdir()
    yield tmp_path / "project"


def bundle(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tiffin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=cwd, check=False)


def build(project: Path, source: str, version: str) -> None:
    crowd.write(project, source)
    done = bundle("build", str(project), "--no-lock", "--name", "crowd", "--version", version)
    assert done.returncode == 0, done.stderr


def reload(server: Server, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return bundle("reload", "--pid", str(server.pid), *arguments, cwd=cwd)


def ask(server: Server) -> Any:
    return httpx.post(f"{server.base_url}/score", json={"x": 1}, timeout=30).json()


def test_latest_under_load_without_a_failed_request_and_always_ready(place: Path) -> None:
    build(place, V1, "v1")

    async def play(server: Server) -> None:
        stop = asyncio.Event()
        busy, slow = crowd.Crowd(server.base_url, 32), crowd.Crowd(server.base_url, 16, pause_s=1.0)
        callers = [asyncio.ensure_future(one.ask_until(stop)) for one in (busy, slow)]
        probes = asyncio.ensure_future(probe(server, stop))
        await busy.more(100)
        await asyncio.to_thread(build, place, V2, "v2")
        done = await asyncio.to_thread(reload, server, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["title"] == "crowd:v2"
        assert json.loads(done.stdout)["before"] == "crowd:v1"
        await busy.more(200)
        await slow.more(16)
        stop.set()
        await asyncio.gather(*callers)
        for one in (busy, slow):
            assert set(one.counts) == {"right"}, one.counts
        assert busy.versions[0] == 1
        assert busy.versions[-1] == 2
        assert set(await probes) == {200}

    with Server("crowd:latest", "--no-access-log") as server:
        asyncio.run(play(server))
        assert httpx.get(f"{server.base_url}/pages/service.json").json()["title"] == "crowd:v2"
        metrics = httpx.get(f"{server.base_url}/metrics").text
        assert 'bundle="crowd:v2"' in metrics
        assert 'bundle="crowd:v1"' not in metrics
        assert server.stop() == 0


async def probe(server: Server, stop: asyncio.Event) -> list[int]:
    """What `/readyz` says: on a new connection each time, and on one that is kept."""
    seen = []
    async with httpx.AsyncClient(timeout=30) as kept:
        while not stop.is_set():
            async with httpx.AsyncClient(timeout=30) as fresh:
                seen += [(await one.get(f"{server.base_url}/readyz")).status_code for one in (fresh, kept)]
            await asyncio.sleep(0.02)
    return seen


def test_what_does_not_start_changes_nothing(place: Path) -> None:
    crowd.write(place)
    with Server(place, "--no-access-log") as server:
        pids = server.pids()
        cases = [
            (V2.replace("VERSION = 2", "import gone"), (), "gone"),
            (V2.replace("class Crowd", "class Crowd("), (), "not Python"),
            (V2.replace("tiffin.runner(Affine, workers=2)", 'tiffin.runner("iris:latest")'), (), "iris"),
            (
                V2.replace("class Affine:", "class Affine:\n    def __init__(self): time.sleep(60)"),
                ("--limit-s", "2"),
                "within 2 s",
            ),
        ]
        for source, options, why in cases:
            crowd.write(place, source)
            done = reload(server, *options)
            assert done.returncode == 1, (why, done.stderr)
            assert why in done.stderr
            assert "service:Crowd keeps serving" in done.stderr
            assert done.stdout == ""
            assert ask(server)["version"] == 1
            assert server.pids() == pids
        crowd.write(place, V2)
        nothing = reload(server, "nothing-there")
        assert (nothing.returncode, "nothing to serve at 'nothing-there'" in nothing.stderr) == (2, True)
        assert reload(server).returncode == 0
        assert ask(server)["version"] == 2


def test_another_folder_which_is_remembered_and_sighup_looks_again(place: Path, tmp_path: Path) -> None:
    crowd.write(place)
    (tmp_path / "other").mkdir()
    crowd.write(tmp_path / "other", V2)
    with Server(place, "--no-access-log") as server:
        done = reload(server, "other", cwd=tmp_path)  # relative to where it is typed
        assert done.returncode == 0, done.stderr
        assert ask(server)["version"] == 2
        crowd.write(tmp_path / "other", V1.replace("VERSION = 1", "VERSION = 3"))
        server.process.send_signal(signal.SIGHUP)
        server.wait_event("reloaded")
        server.wait_event("reloaded")
        assert ask(server)["version"] == 3
        crowd.write(tmp_path / "other", "broken (")
        server.process.send_signal(signal.SIGHUP)
        assert "service.py:1" in server.wait_event("reload failed")["error"]
        assert ask(server)["version"] == 3
