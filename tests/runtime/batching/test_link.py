"""The connection to a worker whose bytes are damaged on the way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop
from fake_links import Counts, runner

from tiffin.errors import UnavailableError, WireError
from tiffin.runtime.batching.dispatcher import Dispatcher
from tiffin.runtime.batching.link import connect
from tiffin.runtime.manifest import MethodSpec
from tiffin.runtime.supervisor.control import WorkerAddress
from tiffin.runtime.wire import frame
from tiffin.runtime.wire.frame import FrameReader
from tiffin.runtime.wire.messages import PROTOCOL, Hello, Result, dump
from tiffin.runtime.wire.values import pack

SHORT_S = 0.02
"""Longer than an answer takes; after damage to a length the rest of the frame never comes."""


def whole(*pieces: Any) -> bytes:
    return b"".join(bytes(piece) for piece in pieces)


def hello() -> bytes:
    return whole(*frame.encode(frame.HELLO, 0, dump(Hello(PROTOCOL, "worker"))))


def result(batch: int, dropped: list[int]) -> bytes:
    value, buffers = pack(np.arange(6, dtype=np.float32).reshape(1, 6))
    return whole(*frame.encode(frame.RESULT, batch, dump(Result(value, 0.001, dropped)), buffers))


def flipped(data: bytes, bit: int) -> bytes:
    made = bytearray(data)
    made[bit // 8] ^= 1 << bit % 8
    return bytes(made)


@pytest.mark.parametrize("dropped", [[], [0]])
def test_no_flipped_bit_gets_out_of_the_link(
    tmp_path: Path, dropped: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets a value or an error, or waits for its deadline; the event loop hears of nothing."""
    caplog.set_level(logging.CRITICAL, "tiffin.batching")
    unforeseen: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unforeseen.append(context))
        # What lies behind the head is numbers: any of them is as good as the other.
        for bit in range(8 * (len(result(1, dropped)) - 24)):
            await _ask(tmp_path, lambda batch, bit=bit: flipped(result(batch, dropped), bit))

    _run(main)
    assert unforeseen == []


def test_damage_that_only_numpy_sees_ends_the_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised where a frame is read is the fault of the frame, not the event loop's business."""

    def broken(*_: object) -> Any:
        raise SyntaxError("no type")

    monkeypatch.setattr("tiffin.runtime.batching.link.unpack", broken)
    unforeseen: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unforeseen.append(context))
        await _ask(tmp_path, lambda batch: result(batch, []))

    _run(main)
    assert unforeseen == []
    assert [record.message for record in caplog.records] == ["worker w: malformed frame: no type"]


async def _ask(folder: Path, answer: Callable[[int], bytes]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(hello())
        frames = FrameReader()
        with contextlib.suppress(ConnectionError):  # a link that hangs up leaves bytes unread
            while data := await reader.read(65536):
                for received in frames.feed(data):
                    if received.kind == frame.CALL:
                        writer.write(answer(received.batch))
        writer.close()

    place = folder / "w.sock"
    place.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve, place)
    dispatcher = Dispatcher(runner(methods={"plain": MethodSpec(batch=False)}, retry=False), metrics=Counts())
    address = WorkerAddress(id="w", runner="toy", address=str(place))
    try:
        link = await connect(address, dispatcher, timeout_s=5)
        await asyncio.wait({asyncio.ensure_future(_outcome(dispatcher))}, timeout=SHORT_S)
    except (UnavailableError, WireError):
        pass
    else:
        link.abort()
        await link.closed.wait()
    dispatcher.close()
    server.close()


async def _outcome(dispatcher: Dispatcher) -> Any:
    try:
        return await dispatcher.call("plain", (1,), {})
    except Exception as error:  # noqa: BLE001 - any will do
        return error


def _run(main: Callable[[], Any]) -> None:
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
