"""Draining, signals, crashes: who sees an error, and who is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import crowd
import httpx
import pytest
import twice
from processes import runs
from server import Server
from waiting import until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    twice.write(tmp_path)
    return tmp_path


async def slow_request(server: Server, gate: Path) -> asyncio.Future[httpx.Response]:
    """In hand when this returns; answered once the file `gate` exists."""

    def send() -> httpx.Response:
        return httpx.post(f"{server.base_url}/hold", json={"gate": str(gate)}, timeout=90)

    sent = asyncio.get_running_loop().run_in_executor(None, send)
    async with httpx.AsyncClient() as client:
        while not (await client.get(f"{server.base_url}/readyz")).json()["in_flight"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return sent


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_hand_are_finished_and_new_ones_not_taken(folder: Path, number: signal.Signals) -> None:
    async def play(server: Server) -> None:
        gate = folder / "gate"
        slow = await slow_request(server, gate)
        port = int(server.base_url.rpartition(":")[2])
        idle = socket.create_connection(("127.0.0.1", port))
        pids = server.pids()
        server.process.send_signal(number)
        server.wait_event("draining")
        with idle:
            idle.settimeout(60)
            assert idle.recv(1) == b"", "an idle connection is closed"
        gate.touch()
        answer = await slow
        assert (answer.status_code, answer.json()) == (200, str(gate))
        assert server.process.wait(90) == 0
        assert not any(runs(pid) for pid in pids)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    with Server(folder) as server:
        asyncio.run(play(server))


@pytest.mark.chaos
@pytest.mark.parametrize("burst", [1, 4])
def test_a_busy_server_loses_nothing_when_it_stops(tmp_path: Path, burst: int) -> None:
    """Every request that was sent is answered, and whoever comes later is refused at once, not cut off."""
    crowd.write(tmp_path)

    async def play(server: Server) -> crowd.Crowd:
        stop = asyncio.Event()
        callers = crowd.Crowd(server.base_url, 64, burst=burst)
        asking = asyncio.ensure_future(callers.ask_until(stop))
        await callers.more(500)
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, 60) == 0
        stop.set()
        await asking
        return callers

    with Server(tmp_path, "--no-access-log", "--processes", "2") as server:
        counts = asyncio.run(play(server)).counts
    assert counts.pop("right") >= 500
    assert counts.pop("not connected") >= 64
    assert +counts == {}


def test_the_limit_of_the_drain_cuts_off(folder: Path) -> None:
    async def play(server: Server) -> None:
        slow = await slow_request(server, folder / "gate")
        assert server.stop() == 0  # the request would never end
        outcome = (await asyncio.gather(slow, return_exceptions=True))[0]
        assert isinstance(outcome, httpx.TransportError) or outcome.status_code >= 500  # type: ignore[union-attr]

    with Server(folder, "--drain-s", "0.5") as server:
        asyncio.run(play(server))


def test_a_second_signal_stops_at_once(folder: Path) -> None:
    async def play(server: Server) -> None:
        slow = await slow_request(server, folder / "gate")
        server.process.send_signal(signal.SIGINT)
        server.wait_event("draining")
        assert server.stop(signal.SIGINT) == 130  # the request would never end, the drain in ten minutes
        await asyncio.gather(slow, return_exceptions=True)

    with Server(folder, "--drain-s", "600") as server:
        pids = server.pids()
        asyncio.run(play(server))
        until(lambda: not any(runs(pid) for pid in pids))


@pytest.mark.chaos
def test_nobody_is_left_when_the_supervisor_is_killed(folder: Path, tmp_path: Path) -> None:
    """Even while a worker computes, or cannot run at all; the next server sweeps what lies around."""
    place = Path(os.environ.get("TMPDIR", "/tmp")) / f"t{os.getpid()}"
    place.mkdir()
    try:
        options = ("--workers", "doubler=2")
        with Server(folder, *options, environ={"XDG_RUNTIME_DIR": str(place)}) as server:
            pids = server.pids()
            os.kill(server.pids("worker")[0], signal.SIGSTOP)
            with pytest.raises(httpx.TransportError):
                httpx.post(f"{server.base_url}/slowly", json={"x": [1], "wait_s": 20.0}, timeout=0.3)
            server.process.kill()
            until(lambda: not any(runs(pid) for pid in pids))
            (left,) = place.iterdir()
        with Server(folder, environ={"XDG_RUNTIME_DIR": str(place)}):
            (now,) = place.iterdir()
            assert now != left
            assert now.stat().st_mode & 0o777 == 0o700
            sockets = list(now.glob("*.sock"))
            assert sockets
            assert all(one.stat().st_mode & 0o777 == 0o600 for one in sockets)
        assert list(place.iterdir()) == []
    finally:
        for one in place.iterdir():
            one.rmdir()
        place.rmdir()


@pytest.mark.chaos
def test_a_killed_worker_is_replaced_and_nobody_notices(folder: Path) -> None:
    async def play(server: Server) -> None:
        done = asyncio.Event()
        answers: list[int] = []

        async def ask() -> None:
            async with httpx.AsyncClient(timeout=30) as client:
                number = 0
                while not done.is_set():
                    number += 1
                    answer = await client.post(f"{server.base_url}/twice", json={"x": [number]})
                    assert answer.json() == [2 * number], answer.text
                    answers.append(answer.status_code)

        async def more(number: int) -> None:
            target = len(answers) + number
            while len(answers) < target:
                assert not any(client.done() for client in clients)
                await asyncio.sleep(0.01)

        clients = [asyncio.ensure_future(ask()) for _ in range(4)]
        for _ in range(3):
            await more(20)
            await asyncio.to_thread(until, lambda: len(server.pids("worker")) == 2)
            os.kill(server.pids("worker")[0], signal.SIGKILL)
        await more(20)
        done.set()
        await asyncio.gather(*clients)

    with Server(folder, "--workers", "doubler=2", "--no-access-log") as server:
        asyncio.run(play(server))
        until(lambda: server.log().count("SIGKILL") == 3)
        page = httpx.get(f"{server.base_url}/metrics").text
        assert 'tiffin_worker_restarts_total{reason="SIGKILL",runner="doubler",service="twice"} 3.0' in page


@pytest.mark.chaos
def test_a_killed_api_process_is_replaced_without_a_refused_connection(folder: Path) -> None:
    with Server(folder) as server:
        (worker,) = server.pids("worker")
        (api,) = server.pids("server")
        assert httpx.post(f"{server.base_url}/twice", json={"x": [1]}).json() == [2]
        os.kill(api, signal.SIGKILL)
        # No retry: this connection waits in the kernel until the next process accepts it.
        until(lambda: not runs(api))
        assert httpx.post(f"{server.base_url}/twice", json={"x": [3]}, timeout=90).json() == [6]
        assert server.pids("worker") == [worker]
        assert server.pids("server") != [api]
        page = httpx.get(f"{server.base_url}/metrics").text
        assert 'tiffin_requests_total{code="200",method="POST",route="/twice",service="twice"} 2.0' in page


def test_an_api_process_that_is_asked_to_end_is_replaced(folder: Path) -> None:
    with Server(folder) as server:
        (api,) = server.pids("server")
        os.kill(api, signal.SIGINT)  # the supervisor's business
        assert httpx.post(f"{server.base_url}/pid").json() == api
        os.kill(api, signal.SIGTERM)
        until(lambda: not runs(api))
        assert httpx.post(f"{server.base_url}/twice", json={"x": [3]}, timeout=90).json() == [6]


def test_not_ready_while_a_runner_has_no_worker(folder: Path) -> None:
    shut = folder / "shut"
    init = f"    def __init__(self):\n        while os.path.exists({str(shut)!r}): time.sleep(0.01)\n\n"
    twice.write(folder, twice.SOURCE.replace("class Doubler:\n", "class Doubler:\n" + init))
    with Server(folder) as server:

        def status() -> int:
            return httpx.get(f"{server.base_url}/readyz").status_code

        (worker,) = server.pids("worker")
        shut.touch()  # the next worker waits
        os.kill(worker, signal.SIGKILL)
        until(lambda: status() == 503)
        shut.unlink()
        until(lambda: status() == 200)


@pytest.mark.slow
def test_a_stuck_worker_is_replaced(folder: Path) -> None:
    with Server(folder) as server:
        (worker,) = server.pids("worker")
        assert httpx.post(f"{server.base_url}/hang", timeout=90).status_code == 504
        until(lambda: not runs(worker))
        assert httpx.post(f"{server.base_url}/twice", json={"x": [3]}, timeout=30).json() == [6]
        assert "is stuck" in server.log()


def test_a_failing_end_of_the_service_is_told_and_ends_all_the_same(tmp_path: Path) -> None:
    twice.write(tmp_path, twice.SOURCE.replace('logger.info("stopped")', 'raise KeyError("no database")'))
    with Server(tmp_path) as server:
        assert server.stop() == 0
        assert "no database" in server.log()
        assert "abandon" not in server.log()
