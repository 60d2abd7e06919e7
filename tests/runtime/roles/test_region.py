"""An API process and the worker containers that it finds: real sockets, names that the test makes up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from certificates import Authority
from yard import Seat, Yard, credentials, ours, play, until

from tiffin.runtime.roles import station
from tiffin.runtime.roles.dial import Address
from tiffin.runtime.roles.options import TlsFiles
from tiffin.runtime.supervisor.control import WorkerAddress

LARGE_ROWS, LARGE_COLUMNS = 1_000, 4_800
"""38.4 MB of float64."""

Stack = contextlib.AsyncExitStack


def test_a_batch_goes_there_and_back(tmp_path: Path) -> None:
    async def scene(stack: Stack) -> None:
        yard, seat = opened(stack, tmp_path)
        yard.hire()
        await seat.until_workers(1)
        assert (await seat.call(1, 2)).tolist() == [[2.0], [4.0]]

    play(scene)


@pytest.mark.parametrize("secure", [False, True])
def test_large_arrays(tmp_path: Path, secure: bool) -> None:
    async def scene(stack: Stack) -> None:
        tls, show = TlsFiles(), credentials()
        if secure:
            tls, show = certificates(tmp_path)
        yard, seat = opened(stack, tmp_path, tls=tls, show=show)
        yard.hire()
        await seat.until_workers(1)
        rows = np.arange(LARGE_ROWS * LARGE_COLUMNS, dtype=float).reshape(LARGE_ROWS, LARGE_COLUMNS)
        result = await asyncio.wait_for(seat.dispatcher.call("double", (rows,), {}), 60)
        assert (result == rows * 2).all()

    play(scene)


def certificates(folder: Path, name: str = "workers", days: int = 2) -> tuple[TlsFiles, object]:
    authority = Authority(folder / f"ca-{name}{days}")
    cert, key = authority.issue(name, days=days)
    return TlsFiles(cert=cert, key=key), credentials(tls=TlsFiles(ca=authority.file, name="workers"))


def opened(stack: Stack, folder: Path, **options: object) -> tuple[Yard, Seat]:
    """A container and an API process that knows its address."""
    show = options.pop("show", None)
    known = options.pop("known", None)
    match = options.pop("match", "model")
    yard = Yard(folder, **options)  # type: ignore[arg-type]
    stack.push_async_callback(yard.close)
    seat = Seat(folder, [yard.address], show=show, known=known, match=match)  # type: ignore[arg-type]
    stack.push_async_callback(seat.close)
    return yard, seat


def test_a_new_address_takes_load_and_one_that_is_gone_for_long_gets_none(tmp_path: Path) -> None:
    async def scene(stack: Stack) -> None:
        one, seat = opened(stack, tmp_path)
        one.hire()
        await seat.until_workers(1)
        two = Yard(tmp_path, host="127.0.0.2", instance="yard/2")
        stack.push_async_callback(two.close)
        two.hire()
        seat.addresses.append(two.address)
        await seat.look()
        await seat.until_workers(2)

        slow = [seat.dispatcher.call("hang", (), {}) for _ in range(2)]  # one at each
        await until(lambda: seat.dispatcher.in_flight == 2)
        seat.addresses.remove(one.address)
        for _ in range(2):
            await seat.look()
        assert seat.dispatcher.workers == 2, "names leave out an address at times"
        await seat.look()
        await seat.until_workers(1)
        assert seat.dispatcher.in_flight == 2, "what is in hand is finished"
        assert not any(call.done() for call in slow)
        for hand in (*one.workers, *two.workers):
            hand.may_answer.set()
        assert len(await asyncio.gather(*slow)) == 2
        await until(lambda: not one.gate._rosters)

    play(scene)


def test_a_container_that_falls_silent_is_noticed_and_its_batch_runs_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No goodbye, no reset: the machine is gone."""
    monkeypatch.setattr(station, "PING_S", 0.05)

    async def scene(stack: Stack) -> None:
        one, seat = opened(stack, tmp_path)
        wire = await stack.enter_async_context(Wire(one.address))
        one.hire()
        seat.addresses[:] = [wire.address]
        await until_gone(seat)
        await seat.until_workers(1)
        wire.cut = True
        call = seat.call(3)
        await until(lambda: seat.dispatcher.in_flight == 1)
        await until(lambda: "has said nothing" in caplog.text)
        two = Yard(tmp_path, host="127.0.0.2", instance="yard/2")
        stack.push_async_callback(two.close)
        two.hire()
        seat.addresses.append(two.address)
        await seat.look()
        assert (await asyncio.wait_for(call, 30)).tolist() == [[6.0]]

    play(scene)


def test_a_process_that_was_busy_for_long_does_not_take_it_for_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(station, "PING_S", 0.05)

    async def scene(stack: Stack) -> None:
        yard, seat = opened(stack, tmp_path)
        yard.hire()
        await seat.until_workers(1)
        time.sleep(1.0)  # user code that blocks the loop  # noqa: ASYNC251
        await asyncio.sleep(0.2)
        assert (await seat.call(1)).tolist() == [[2.0]]
        assert "has said nothing" not in caplog.text

    play(scene)


def test_a_gate_that_comes_back_finds_the_connections_in_place(tmp_path: Path) -> None:
    """It was killed; its workers, and their connections, were not."""

    async def scene(stack: Stack) -> None:
        yard, seat = opened(stack, tmp_path)
        yard.hire()
        await seat.until_workers(1)
        link = next(iter(seat.dispatcher._crew)).link
        for session in list(yard.gate._rosters):
            session.abort()
        await until(lambda: not yard.gate._rosters)
        await until(lambda: yard.gate._rosters)
        assert next(iter(seat.dispatcher._crew)).link is link
        assert (await seat.call(1)).tolist() == [[2.0]]

    play(scene)


@pytest.mark.parametrize("secure", [False, True])
def test_a_worker_that_ended_is_lost_though_somebody_holds_its_connection_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    """A process that its user code forked, say: here the worker itself, which hangs."""
    monkeypatch.setattr(station, "LAST_WORDS_S", 0.01)

    async def scene(stack: Stack) -> None:
        tls, show = certificates(tmp_path) if secure else (TlsFiles(), credentials())
        yard, seat = opened(stack, tmp_path, tls=tls, show=show)
        yard.hire()
        await seat.until_workers(1)
        call = seat.dispatcher.call("hang", (), {})
        await until(lambda: seat.dispatcher.in_flight == 1)
        yard.gate.lose("doubler-0-0")
        assert not yard.gate.runners()
        yard.hire()
        yard.gate.follow([yard.workers[1].address])
        yard.workers[1].may_answer.set()
        assert await asyncio.wait_for(call, 60) == "doubler-0-1"

    play(scene)


def test_goodbye_lets_what_is_in_hand_finish(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(stack: Stack) -> None:
        yard, seat = opened(stack, tmp_path)
        yard.hire()
        await seat.until_workers(1)
        call = seat.dispatcher.call("hang", (), {})
        await until(lambda: seat.dispatcher.in_flight == 1)
        yard.workers[0].stop(20.0)
        await yard.gate.close(20.0)
        await until(lambda: seat.dispatcher.workers == 0)
        yard.workers[0].may_answer.set()
        assert await asyncio.wait_for(call, 20) == "doubler-0-0"
        await until(lambda: "is leaving" in caplog.text)

    play(scene)


def test_two_addresses_of_one_container_count_once(tmp_path: Path) -> None:
    async def scene(stack: Stack) -> None:
        yard, seat = opened(stack, tmp_path)
        wire = await stack.enter_async_context(Wire(yard.address))
        yard.hire(2)
        seat.addresses.append(wire.address)
        await seat.look()
        await seat.until_workers(2)
        await until(lambda: wire.accepted)
        await asyncio.sleep(0.2)
        assert seat.dispatcher.workers == 2

    play(scene)


@pytest.mark.parametrize(
    ("known", "match", "words"),
    [
        (ours(models="v2"), "model", "has other models"),
        (ours(models="v2"), "methods", ""),
        (ours(bundle="b2"), "model", ""),
        (ours(bundle="b2"), "bundle", "serves another bundle"),
        (ours(methods="m2"), "methods", "has other methods"),
        (ours(methods="m2"), "bundle", "has other methods"),
    ],
)
def test_workers_of_something_else_are_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, known: Any, match: str, words: str
) -> None:
    caplog.set_level("INFO")

    async def scene(stack: Stack) -> None:
        yard, seat = opened(stack, tmp_path, known=known, match=match)
        yard.post(WorkerAddress(id="doubler-0-1", runner="doubler", address=str(tmp_path / "nobody")))
        if words:
            await until(lambda: words in caplog.text)
            assert not seat.region._stations[yard.address][0]._links._keepers
        else:
            await until(lambda: "has joined" in caplog.text)

    play(scene)


def test_a_container_of_other_runners_is_told_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(stack: Stack) -> None:
        opened(stack, tmp_path, served=ours(runner="encoder"))
        await until(lambda: "runs encoder: none of doubler" in caplog.text)

    play(scene)


def test_a_stuck_worker_is_reported_to_its_own_container(tmp_path: Path) -> None:
    async def scene(stack: Stack) -> None:
        yard, seat = opened(stack, tmp_path)
        yard.hire()
        await seat.until_workers(1)
        link = next(iter(seat.dispatcher._crew)).link
        assert not seat.region.report_stuck("doubler-0-7", "a local one")
        assert seat.region.report_stuck(link.id, "holds a batch")
        await until(lambda: yard.stuck)
        assert yard.stuck == [(yard.workers[0].name, "holds a batch (says api-0 of tests)")]

    play(scene)


async def until_gone(seat: Seat) -> None:
    """Addresses that are not listed any more are forgotten."""
    for _ in range(3):
        await seat.look()


class Wire:
    """A way to a container that can be cut without either end being told."""

    def __init__(self, to: Address) -> None:
        self._to = to
        self.cut = False
        self.accepted = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Wire:  # noqa: PYI034 - Self came with 3.11
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = int(self._server.sockets[0].getsockname()[1])
        self.address = Address(socket.AF_INET, "127.0.0.1", port, "127.0.0.1")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        there, out = await asyncio.open_connection(self._to.ip, self._to.port)
        for source, sink in ((reader, out), (there, writer)):
            task = asyncio.create_task(self._carry(source, sink))
            self._tasks.add(task)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if self.cut:
                    await asyncio.sleep(3600)
                sink.write(data)
        except OSError:
            pass
        finally:
            sink.close()
