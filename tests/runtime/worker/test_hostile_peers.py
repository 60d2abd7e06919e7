"""Malformed frames on the worker's socket, at both ends: the connection ends, nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_links import Counts
from hostile_frames import encoded, streams
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import peak_bytes
from real_worker import RealWorker

from tiffin.errors import ServingError
from tiffin.runtime.batching.dispatcher import Dispatcher
from tiffin.runtime.batching.link import Link
from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.supervisor.control import Ready
from tiffin.runtime.wire import frame
from tiffin.runtime.wire.messages import PROTOCOL, Call, Cancel, Failure, Hello, Result, dump, load
from tiffin.runtime.wire.values import pack, unpack

SERVICE = """
import numpy as np
import tiffin

class Toy:
    @tiffin.batch
    def double(self, x: np.ndarray, **constants) -> np.ndarray:
        return x * 2

@tiffin.service
class Service:
    toy = tiffin.runner(Toy)

    @tiffin.api
    async def api(self, x: float) -> float:
        return x
"""
SPEC = RunnerSpec(name="toy", cls="hostile_service:Toy", methods={"double": MethodSpec()})
HELLO = encoded(frame.HELLO, 0, dump(Hello(PROTOCOL, "test")))
PACKED, BUFFERS = pack((np.ones((2, 3)),))
KWARGS, KWARGS_BUFFERS = pack({"bias": np.ones(3)})
TO_WORKER = [
    HELLO,
    encoded(frame.CALL, 1, dump(Call("double", [1, 1], [9.0, 9.0], PACKED, b"")), BUFFERS),
    encoded(frame.CALL, 2, dump(Call("double", [2], [], PACKED, KWARGS)), [*BUFFERS, *KWARGS_BUFFERS]),
    encoded(
        frame.CALL, 3, dump(Call("double", [1, 1], [9.0, -9.0], PACKED, b"")), BUFFERS, flags=frame.ALONE
    ),
    encoded(frame.CANCEL, 1, dump(Cancel([0]))),
]
VALUE, VALUE_BUFFERS = pack(np.ones((2, 3)))
TO_API = [
    HELLO,
    encoded(frame.RESULT, 1, dump(Result(VALUE, 0.1, [])), VALUE_BUFFERS),
    encoded(frame.RESULT, 1, dump(Result(VALUE, 0.1, [0])), VALUE_BUFFERS),
    encoded(frame.RESULT, 1, dump(Result(VALUE, float("nan"), [-1])), VALUE_BUFFERS),
    encoded(frame.ERROR, 1, dump(Failure("ValueError", "bad", "Traceback"))),
    encoded(frame.ERROR, 1, dump(Failure("A\0B", "bad", "", 422))),
    encoded(frame.ERROR, 1, dump(Failure("OverloadedError", "bad", "", 503, retry_after_s=float("inf")))),
    encoded(frame.BEGIN, 1),
    encoded(frame.BYE, 0),
]
FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[RealWorker]:
    (tmp_path / "hostile_service.py").write_text(SERVICE)
    with (tmp_path / "log").open("wb") as log:
        made = RealWorker(tmp_path, SPEC, "hostile_service:Service", tmp_path, log=log.fileno())
    try:
        assert isinstance(made.message(), Ready)
        yield made
    finally:
        made.stop()


class Peer(contextlib.AbstractContextManager):  # type: ignore[type-arg]
    """Speaks to a worker in bytes."""

    def __init__(self, worker: RealWorker) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(120)
        self.socket.connect(worker.address.address)

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def until_the_end(self) -> None:
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass


class GoodPeer(Peer):
    def __init__(self, worker: RealWorker) -> None:
        super().__init__(worker)
        self.reader = frame.FrameReader()
        self.socket.sendall(HELLO)
        assert self.next().kind == frame.HELLO

    def next(self) -> frame.Frame:
        while True:
            for received in self.reader.feed(self.socket.recv(65536)):
                return received

    def check(self) -> None:
        self.socket.sendall(TO_WORKER[1])
        result = self.next()
        assert unpack(load(Result, result.head).value, result.buffers).tolist() == [[2.0] * 3] * 2


def test_a_worker_outlives_every_stream(worker: RealWorker, tmp_path: Path) -> None:
    good = GoodPeer(worker)
    before = peak_bytes(worker.process.pid)

    @FUZZ
    @given(streams(TO_WORKER), st.booleans())
    def attack(stream: bytes, greeted: bool) -> None:
        with Peer(worker).socket as end:
            try:
                end.sendall(HELLO * greeted + stream)
                end.shutdown(socket.SHUT_WR)
                while end.recv(65536):  # it must close, whatever it thought of the stream
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
        good.check()

    attack()
    good.socket.close()
    assert worker.process.poll() is None
    assert peak_bytes(worker.process.pid) - before < 64 * 1024 * 1024
    assert "test sent a malformed frame and was disconnected: " in (tmp_path / "log").read_text()


@pytest.mark.parametrize("length", [2**31 - 4, 2**32 - 1])
def test_a_length_alone_takes_no_memory_of_a_worker(worker: RealWorker, length: int) -> None:
    before = peak_bytes(worker.process.pid)
    with GoodPeer(worker) as good, contextlib.ExitStack() as peers:
        for _ in range(10):
            peer = peers.enter_context(Peer(worker))
            peer.socket.sendall(HELLO + length.to_bytes(4, "little") + TO_WORKER[1][4:])
        good.check()
        assert peak_bytes(worker.process.pid) - before < 64 * 1024 * 1024
        peers.close()
        good.check()


def test_hello_again_and_again_does_not_pile_up_answers(worker: RealWorker) -> None:
    with Peer(worker) as greedy, GoodPeer(worker) as good:
        greedy.socket.sendall(HELLO * 2)
        greedy.until_the_end()
        good.check()


def test_an_api_process_outlives_every_stream(caplog: pytest.LogCaptureFixture) -> None:
    before = peak_bytes(os.getpid())

    @FUZZ
    @given(streams(TO_API))
    def attack(stream: bytes) -> None:
        asyncio.run(asyncio.wait_for(meet(stream), 20))

    attack()
    assert peak_bytes(os.getpid()) - before < 64 * 1024 * 1024
    assert "worker bad: malformed frame: " in caplog.text


async def meet(stream: bytes) -> None:
    """A worker that says hello, takes a batch and answers with the stream; then a good one answers."""
    loop = asyncio.get_running_loop()
    escaped: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: escaped.append(context))
    dispatcher = Dispatcher(SPEC, metrics=Counts())
    call = asyncio.ensure_future(dispatcher.call("double", (np.ones((2, 3)),), {}))
    bad = await hire(dispatcher, "bad")
    await read_call(bad)
    await loop.sock_sendall(bad, stream)
    bad.close()
    good = await hire(dispatcher, "good")
    serving = asyncio.ensure_future(serve(good))
    with contextlib.suppress(ServingError):  # the stream may say that it failed, in a frame that is right
        assert (await call).shape == (2, 3)
    assert (await dispatcher.call("double", (np.ones((2, 3)),), {})).tolist() == [[2.0] * 3] * 2
    dispatcher.close()
    serving.cancel()
    good.close()
    await asyncio.sleep(0)
    assert not escaped, escaped


async def hire(dispatcher: Dispatcher, name: str) -> socket.socket:
    """The worker's end of a link."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    _, link = await loop.create_unix_connection(lambda: Link(name, dispatcher, ours, None, None), sock=ours)
    await loop.sock_sendall(theirs, HELLO)
    await link.greeted
    return theirs


async def read_call(end: socket.socket) -> frame.Frame:
    reader = frame.FrameReader()
    while True:
        data = await asyncio.get_running_loop().sock_recv(end, 65536)
        if not data:
            raise EOFError
        for received in reader.feed(data):
            if received.kind == frame.CALL:
                return received


async def serve(end: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        call = await read_call(end)
        value, buffers = pack(np.full((2, 3), 2.0))
        await loop.sock_sendall(end, encoded(frame.RESULT, call.batch, dump(Result(value, 0.1, [])), buffers))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (encoded(frame.RESULT, 1, dump(Result(VALUE, float("nan"), [])), VALUE_BUFFERS), "ran for nan s"),
        (encoded(frame.RESULT, 1, dump(Result(VALUE, 0.1, [-1])), VALUE_BUFFERS), "negative place"),
        (encoded(frame.RESULT, 2, dump(Result(VALUE, 0.1, [])), VALUE_BUFFERS), "which it was not given"),
        (encoded(frame.ERROR, 1, dump(Failure("A\0B", "bad", "", 422))), "cannot be raised"),
        (encoded(frame.CALL, 1), "does not send frames of kind 2"),
    ],
)
def test_an_answer_that_lies_ends_the_link_and_the_batch_runs_elsewhere(
    answer: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(asyncio.wait_for(meet(answer), 20))
    assert re.search(f"worker bad: malformed frame: .*{said}", caplog.text)
