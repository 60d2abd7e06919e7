"""Real worker processes behind a real dispatcher."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import stat
import struct
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_links import Counts
from real_worker import RealWorker
from waiting import until

from tiffin.errors import (
    DeadlineExceededError,
    InferenceError,
    InvalidInputError,
    OutOfMemoryError,
    PoisonRequestError,
    ResultMismatchError,
    UnavailableError,
    UsageError,
    WireError,
    WorkerCrashedError,
)
from tiffin.runtime.batching.dispatcher import Dispatcher
from tiffin.runtime.batching.link import connect
from tiffin.runtime.batching.remote import RemoteRunner
from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.service.context import RequestContext, set_context
from tiffin.runtime.supervisor.control import Drain, Drained, Failed, Ready
from tiffin.runtime.wire import frame
from tiffin.runtime.wire.arena import memory_file
from tiffin.runtime.wire.messages import PROTOCOL, Call, Cancel, Failure, Hello, Result, dump, load
from tiffin.runtime.wire.values import pack, unpack

SERVICE = """
import asyncio, dataclasses, os, pathlib, time
import numpy as np
import tiffin
from tiffin.errors import InvalidInputError

HELD, GO = (pathlib.Path(__file__).with_name(name) for name in ("held", "go"))

@dataclasses.dataclass
class Point:
    x: float
    tags: tuple[str, ...] = ()

class Toy:
    def __init__(self, factor: int = 2):
        self.factor = factor
        self.ran = []

    @tiffin.batch
    def double(self, x: np.ndarray, bias: float = 0.0) -> np.ndarray:
        self.ran.append(len(x))
        if (x == 13).any():
            raise ValueError("thirteen")
        if (x == 14).any():
            raise InvalidInputError("fourteen", path="$.x")
        if (x == 15).any():
            os._exit(3)
        if (x == 16).any():
            time.sleep(60)
        if (x == 17).any():
            HELD.touch()
            while not GO.exists():
                time.sleep(0.002)
            HELD.unlink()
            GO.unlink()
        if (x == 21).any():
            raise SystemExit("twenty-one")
        if (x == 22).any():
            raise KeyboardInterrupt("twenty-two")
        if (x == 23).any():
            raise asyncio.CancelledError("twenty-three")
        if (x == 18).any():
            return np.ones(2**57)
        if (x == 19).any():
            import torch
            return torch.ones(2**57)
        return x * self.factor + bias

    @tiffin.batch
    def short(self, x: np.ndarray) -> np.ndarray:
        return x[:-1]

    @tiffin.batch
    def far(self, points: list[Point]) -> list[Point]:
        assert all(isinstance(point, Point) for point in points)
        return [Point(point.x + 1, (*point.tags, "seen")) for point in points]

    @tiffin.batch
    def wrong(self, x: np.ndarray) -> list[Point]:
        return [{"x": "no number"} for _ in x]

    @tiffin.batch
    def lock(self, x: np.ndarray) -> list:
        return [object() for _ in x]

    def hello(self, name: str, times: int = 1) -> str:
        return name * times

    def seen(self) -> list:
        return self.ran

    def pid(self) -> int:
        return os.getpid()

class Broken:
    def __init__(self):
        raise RuntimeError("no weights")
    def run(self, x: int) -> int:
        return x

@tiffin.service
class Service:
    toy = tiffin.runner(Toy, factor=2)
    broken = tiffin.runner(Broken)

    @tiffin.api
    async def api(self, x: float) -> float:
        return x
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "toy_service.py").write_text(SERVICE)
    return tmp_path


def spec(**fields: Any) -> RunnerSpec:
    batched = {name: MethodSpec() for name in ("double", "short", "far", "wrong", "lock")}
    plain = {name: MethodSpec(batch=False) for name in ("hello", "seen", "pid")}
    return RunnerSpec(name="toy", cls="toy_service:Toy", methods={**batched, **plain}, **fields)


class House:
    """Workers and the dispatcher that uses them."""

    def __init__(self, source: Path, **fields: Any) -> None:
        self.source = source
        self.spec = spec(**fields)
        self.stuck: list[str] = []
        self.dispatcher = Dispatcher(
            self.spec,
            metrics=Counts(),
            on_stuck=lambda worker, _: self.stuck.append(worker),
            stuck_grace_s=0.2,
        )
        self.runner = RemoteRunner(self.spec, self.dispatcher, asyncio.get_running_loop())
        self.workers: list[RealWorker] = []

    async def hire(self) -> RealWorker:
        worker = RealWorker(
            self.source, self.spec, "toy_service:Service", self.source, number=len(self.workers)
        )
        self.workers.append(worker)
        ready = await asyncio.to_thread(worker.message)
        assert isinstance(ready, Ready), ready
        await connect(worker.address, self.dispatcher)
        return worker

    def stop(self) -> None:
        self.dispatcher.close()
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.stop()
            else:
                worker.control.close()


@contextlib.asynccontextmanager
async def house(source: Path, workers: int = 1, **fields: Any) -> AsyncIterator[House]:
    made = House(source, **fields)
    try:
        for _ in range(workers):
            await made.hire()
        yield made
    finally:
        made.stop()


def go(main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(main(), 240)

    asyncio.run(limited())


def column(*values: float) -> np.ndarray:
    return np.array(values, float).reshape(-1, 1)


def test_calls_of_every_kind(source: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    async def main() -> None:
        async with house(source) as here:
            runner = here.runner
            answers = await asyncio.gather(*(runner.double(column(n, n + 0.5)) for n in range(200, 300)))
            assert [a.tolist() for a in answers] == [[[2.0 * n], [2.0 * n + 1]] for n in range(200, 300)]
            assert max(await runner.seen()) > 2, "nothing was batched"
            assert (await runner.double.one(np.array([4.0]), bias=1.0)).tolist() == [9.0]
            assert await runner.hello("ab", times=2) == "abab"
            with pytest.raises(UsageError, match="takes no batches"):
                await runner.hello.one("x")
            with pytest.raises(AttributeError, match="it has double"):
                runner.dubble  # noqa: B018
            with pytest.raises(AttributeError, match="not a stored model"):
                runner.model  # noqa: B018
            with ThreadPoolExecutor(1) as pool:  # a sync api
                loop = asyncio.get_running_loop()
                got = await loop.run_in_executor(pool, copy_context().run, runner.double, column(4))
                assert got.tolist() == [[8.0]]
                late = RequestContext(deadline=time.monotonic() - 1)
                token = set_context(late)
                context = copy_context()
                from tiffin.runtime.service.context import reset

                reset(token)
                with pytest.raises(DeadlineExceededError):
                    await loop.run_in_executor(pool, context.run, runner.double, column(4))

    go(main)


@pytest.mark.parametrize("size", [1_000, 200_000, 4_000_000])
def test_large_arrays_arrive_unharmed_while_earlier_ones_are_still_held(source: Path, size: int) -> None:
    async def main() -> None:
        async with house(source, workers=2, max_queue_rows=10**8) as here:
            held = []
            for turn in range(3):  # results that are kept must not be written over by later ones
                x = np.arange(100, size + 100, dtype=float).reshape(-1, 1) + turn
                answers = await asyncio.gather(here.runner.double(x), here.runner.double(x + 0.5))
                held += [(answers[0], x * 2), (answers[1], x * 2 + 1)]
            for answer, expected in held:
                assert np.array_equal(answer, expected)

    go(main)


@pytest.mark.parametrize("size", [300, 20_000, 300_000])
def test_rows_of_many_callers_are_gathered_in_order(source: Path, size: int) -> None:
    async def main() -> None:
        async with house(source) as here:
            for turn in range(3):
                rows = [np.full((1 + n % 3, size), 100.0 + n + turn) for n in range(12)]
                rows[5] = np.asfortranarray(rows[5])
                answers = await asyncio.gather(*(here.runner.double(row) for row in rows))
                for row, answer in zip(rows, answers, strict=True):
                    assert np.array_equal(answer, row * 2)
            assert max(await here.runner.seen()) > 3, "nothing was batched"

    go(main)


def test_arguments_get_their_classes_back(source: Path) -> None:
    import importlib.util

    loaded = importlib.util.spec_from_file_location("points_of_caller", source / "toy_service.py")
    assert loaded is not None
    assert loaded.loader is not None
    module = importlib.util.module_from_spec(loaded)
    import sys

    sys.modules["points_of_caller"] = module
    loaded.loader.exec_module(module)

    async def main() -> None:
        async with house(source) as here:
            loop = asyncio.get_running_loop()
            runner = RemoteRunner(here.spec, here.dispatcher, loop, module.Toy)
            got = await runner.far([module.Point(1.0, ("a",)), module.Point(2.0)])
            assert got == [module.Point(2.0, ("a", "seen")), module.Point(3.0, ("seen",))]
            assert await runner.far.one(module.Point(4.0)) == module.Point(5.0, ("seen",))
            with pytest.raises(InferenceError, match="'wrong' returned what its hint does not allow"):
                await runner.wrong(column(1.0))  # not a 422: the caller did nothing wrong

    try:
        go(main)
    finally:
        del sys.modules["points_of_caller"]


def test_errors_reach_only_the_guilty(source: Path) -> None:
    async def main() -> None:
        async with house(source) as here:
            numbers = [1, 2, 13, 3, 4, 5, 6, 14, 7, 8, 21, 22, 23]
            calls = [here.runner.double(column(n)) for n in numbers]
            results = dict(zip(numbers, await asyncio.gather(*calls, return_exceptions=True), strict=True))
            raised, invalid, left = results.pop(13), results.pop(14), results.pop(21)
            assert isinstance(left, InferenceError)
            assert (str(left), left.remote_type) == ("twenty-one", "SystemExit")
            stopped, cancelled = results.pop(22), results.pop(23)
            assert (str(stopped), stopped.remote_type) == ("twenty-two", "KeyboardInterrupt")
            assert (str(cancelled), cancelled.remote_type) == ("twenty-three", "CancelledError")
            assert here.workers[0].process.poll() is None
            assert isinstance(raised, InferenceError)
            assert (str(raised), raised.remote_type) == ("thirteen", "ValueError")
            assert "toy_service.py" in raised.traceback
            assert isinstance(invalid, InvalidInputError)
            assert (invalid.path, invalid.status) == ("$.x", 422)
            assert {n: result.tolist() for n, result in results.items()} == {n: [[2.0 * n]] for n in results}
            with pytest.raises(ResultMismatchError, match="came back as 1 rows"):
                await here.runner.short(column(1, 2))
            with pytest.raises(WireError, match=r"builtins\.object"):
                await here.runner.lock(column(1))

    go(main)


def test_a_call_that_wants_too_much_memory_fails_alone_and_the_worker_lives(source: Path) -> None:
    async def main() -> None:
        async with house(source) as here:
            numbers = [1, 18, 2, 3, 19]
            calls = [here.runner.double(column(n)) for n in numbers]
            results = dict(zip(numbers, await asyncio.gather(*calls, return_exceptions=True), strict=True))
            for error, said in ((results.pop(18), "allocate 1.00 EiB"), (results.pop(19), "allocate memory")):
                assert isinstance(error, OutOfMemoryError)
                assert error.status == 503
                assert said in str(error)
                assert "lower max_batch_size" in str(error)
            assert {n: result.tolist() for n, result in results.items()} == {n: [[2.0 * n]] for n in results}
            assert here.workers[0].process.poll() is None

    go(main)


def test_poison_ends_two_workers_and_nobody_else_notices(source: Path) -> None:
    async def main() -> None:
        async with house(source, workers=2) as here:
            numbers = [15, *range(100, 130)]
            calls = [asyncio.ensure_future(here.runner.double(column(n))) for n in numbers]
            with pytest.raises(PoisonRequestError):
                await calls[0]
            await here.hire()
            for n, call in list(zip(numbers, calls, strict=True))[1:]:
                assert (await call).tolist() == [[2.0 * n]]
            assert sorted(worker.process.poll() for worker in here.workers if worker.process.poll()) == [3, 3]

    go(main)


def test_kill_9_is_not_seen_by_callers(source: Path) -> None:
    async def main() -> None:
        async with house(source, workers=2) as here:

            async def caller(n: int) -> None:
                for _ in range(30):
                    assert (await here.runner.double(column(n))).tolist() == [[2.0 * n]]

            callers = [asyncio.ensure_future(caller(n)) for n in range(100, 120)]
            for _ in range(2):
                await asyncio.sleep(0.02)
                victim = next(worker for worker in here.workers if worker.process.poll() is None)
                victim.process.kill()
                await here.hire()
            await asyncio.gather(*callers)

    go(main)


def test_without_retry_the_callers_of_a_dead_worker_are_told(source: Path) -> None:
    async def main() -> None:
        async with house(source, retry=False) as here:
            with pytest.raises(WorkerCrashedError, match="may not be repeated"):
                await here.runner.double(column(15))

    go(main)


def test_a_stuck_worker_is_reported_after_its_caller_was_answered(source: Path) -> None:
    async def main() -> None:
        async with house(source) as here:
            set_context(RequestContext(deadline=time.monotonic() + 1))
            with pytest.raises(DeadlineExceededError):
                await here.runner.double(column(16))
            assert here.dispatcher.in_flight == 1
            while not here.stuck:  # noqa: ASYNC110 - the worker is another process
                await asyncio.sleep(0.02)
            assert here.stuck == ["toy-0-0"]
            here.workers[0].process.kill()
            while here.dispatcher.in_flight:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    go(main)


# -- one worker, spoken to by hand


@pytest.fixture
def worker(source: Path) -> Iterator[RealWorker]:
    made = RealWorker(source, spec(), "toy_service:Service", source)
    try:
        assert isinstance(made.message(), Ready)
        yield made
    finally:
        if made.process.poll() is None:
            made.stop()
        made.control.close()


class Peer:
    """An API process that says what the test wants."""

    def __init__(self, worker: RealWorker, *, hello: bool = True) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(120)
        self.socket.connect(worker.address.address)
        self.reader = frame.FrameReader()
        self.frames: list[frame.Frame] = []
        if hello:
            self.send(frame.HELLO, 0, dump(Hello(PROTOCOL, "test")))
            assert self.next().kind == frame.HELLO

    def send(self, kind: int, batch: int, head: bytes = b"", buffers: Any = (), flags: int = 0) -> None:
        self.socket.sendall(b"".join(frame.encode(kind, batch, head, buffers, flags=flags)))

    def call(
        self, batch: int, *values: float, flags: int = 0, remaining: Any = (), counts: Any = None
    ) -> None:
        packed, buffers = pack((column(*values),))
        head = Call("double", counts or [len(values)], list(remaining), packed, b"")
        self.send(frame.CALL, batch, dump(head), buffers, flags)

    def next(self) -> frame.Frame:
        """Raises EOFError when the worker closed."""
        while not self.frames:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self.frames += self.reader.feed(data)
        return self.frames.pop(0)

    def answer(self) -> Any:
        received = self.next()
        if received.kind == frame.ERROR:
            return load(Failure, received.head)
        assert received.kind == frame.RESULT
        result = load(Result, received.head)
        return received.batch, result.dropped, unpack(result.value, received.buffers)


@pytest.fixture
def meet(worker: RealWorker) -> Iterator[Callable[..., Peer]]:
    """Makes peers of the worker; closes them in the end."""
    with contextlib.ExitStack() as ends:

        def made(*, hello: bool = True) -> Peer:
            peer = Peer(worker, hello=hello)
            ends.callback(peer.socket.close)
            return peer

        yield made


@pytest.fixture
def running(source: Path) -> Callable[..., contextlib.AbstractContextManager[None]]:
    """While the worker runs a batch of this peer; it finds what is sent meanwhile when it has run it."""

    @contextlib.contextmanager
    def held(peer: Peer, batch: int = 1) -> Iterator[None]:
        peer.call(batch, 17)
        until((source / "held").exists)
        yield
        (source / "go").touch()

    return held


Running = Callable[..., contextlib.AbstractContextManager[None]]


def seen(peer: Peer, batch: int = 99) -> list[int]:
    """Rows of every run of `double` so far."""
    packed, _ = pack(())
    peer.send(frame.CALL, batch, dump(Call("seen", [], [], packed, b"")))
    value: list[int] = peer.answer()[2]
    return value


def test_batches_of_several_processes_are_joined_and_each_gets_its_part(
    meet: Callable[..., Peer], running: Running
) -> None:
    peers = [meet() for _ in range(4)]
    with running(peers[0]):  # the others pile up behind
        for number, peer in enumerate(peers[1:], 2):
            peer.call(number, number, number)
    assert peers[0].answer()[2].tolist() == [[34]]
    for number, peer in enumerate(peers[1:], 2):
        batch, dropped, value = peer.answer()
        assert (batch, dropped, value.tolist()) == (number, [], [[2.0 * number]] * 2)
    assert seen(peers[0]) == [1, 6]


def test_when_the_joined_batch_raises_each_runs_by_itself(
    meet: Callable[..., Peer], running: Running
) -> None:
    peers = [meet() for _ in range(3)]
    with running(peers[0]):
        peers[1].call(2, 13)
        peers[2].call(3, 5)
    peers[0].answer()
    assert peers[1].answer().message == "thirteen"
    assert peers[2].answer()[2].tolist() == [[10]]


def test_a_suspect_runs_alone_and_says_begin_first(meet: Callable[..., Peer], running: Running) -> None:
    peers = [meet() for _ in range(3)]
    with running(peers[0]):
        peers[1].call(2, 4, flags=frame.ALONE)
        peers[2].call(3, 5)
    begin = peers[1].next()
    assert (begin.kind, begin.batch) == (frame.BEGIN, 2)
    for peer in peers:
        peer.answer()
    assert seen(peers[0]) == [1, 1, 1]


def test_cancelled_and_late_requests_are_left_out(meet: Callable[..., Peer], running: Running) -> None:
    one, two = meet(), meet()
    with running(one):
        two.call(2, 1, 2, 3, 4, counts=[1, 2, 1], remaining=[900, 900, -0.1])
        two.send(frame.CANCEL, 2, dump(Cancel([0, 77])))
        two.send(frame.CANCEL, 5, dump(Cancel([0])))
    one.answer()
    batch, dropped, value = two.answer()
    assert (batch, dropped, value.tolist()) == (2, [0, 2], [[4], [6]])
    with running(one, 3):
        two.call(4, 1, remaining=[-0.1])
    one.answer()
    assert two.answer() == (4, [0], [])
    assert seen(one) == [1, 2, 1], "work that nobody waited for was done"


def test_a_disconnect_drops_what_waits(meet: Callable[..., Peer], running: Running) -> None:
    one, two = meet(), meet()
    with running(one):
        two.call(2, 1, 1, 1)
        two.socket.close()
    one.answer()
    assert seen(one) == [1]


PACKED, BUFFERS = pack((column(1),))


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\n\r\n" * 10,
        b"\x00" * 64,
        b"".join(
            frame.encode(frame.CALL, 1, dump(Call("double", [1], [], PACKED, b"")), BUFFERS)
        ),  # before hello
        b"".join(frame.encode(frame.RESULT, 1, b"")),
        b"".join(frame.encode(frame.HELLO, 0, b"\xff")),
        b"".join(frame.encode(frame.HELLO, 0, dump(Hello(99, "future")))),
    ],
    ids=["http", "zeros", "call before hello", "result", "bad hello", "other protocol"],
)
def test_a_malformed_peer_is_disconnected_and_the_worker_lives(
    worker: RealWorker, meet: Callable[..., Peer], noise: bytes
) -> None:
    good, bad = meet(), meet(hello=False)
    bad.socket.sendall(noise)
    with pytest.raises(EOFError):
        while bad.next().kind == frame.HELLO:
            pass
    good.call(1, 4)
    assert good.answer()[2].tolist() == [[8]]


def test_malformed_calls_after_hello_are_disconnected_too(meet: Callable[..., Peer]) -> None:
    good = meet()
    heads = [
        b"\x00",
        dump(Call("nothing", [1], [], PACKED, b"")),
        dump(Call("double", [-1], [], PACKED, b"")),
        dump(Call("double", [2], [], PACKED, b"")),  # more rows than there are
        dump(Call("double", [1], [], pack((3,))[0], b"")),  # no rows at all
        dump(Call("double", [1], [1.0, 1.0], PACKED, b"")),  # more deadlines than requests
        dump(Call("double", [1], [], b"\xc1", b"")),
        dump(Call("double", [1], [], pack([1])[0], b"")),
        dump(Call("double", [1], [], PACKED, pack([1])[0])),
    ]
    for head in heads:
        bad = meet()
        bad.send(frame.CALL, 1, head, BUFFERS)
        with pytest.raises(EOFError):
            bad.next()
    greedy = meet()
    head = dump(Call("double", [1], [], PACKED, b""))
    calls = [b"".join(frame.encode(frame.CALL, n, head, BUFFERS)) for n in (1, 2, 3)]
    greedy.socket.sendall(b"".join(calls))
    with pytest.raises(EOFError):
        greedy.next()
    twice = meet()
    twice.socket.sendall(calls[0] * 2)
    with pytest.raises(EOFError):
        twice.next()
    half = meet()
    half.socket.sendall(b"\xff\x00\x00\x00\x02")
    half.socket.close()
    good.call(1, 4)
    assert good.answer()[2].tolist() == [[8]]


@pytest.mark.parametrize("given", [0, 1, 2])
def test_a_worker_says_whether_it_has_the_shared_memory(
    worker: RealWorker, meet: Callable[..., Peer], given: int
) -> None:
    """The kernel drops descriptors for which the receiver has no room left, and tells nobody."""
    peer = meet(hello=False)
    fds = [memory_file() for _ in range(given)]
    try:
        hello = b"".join(frame.encode(frame.HELLO, 0, dump(Hello(PROTOCOL, "test"))))
        socket.send_fds(peer.socket, [hello], fds)
    finally:
        for fd in fds:
            os.close(fd)
    assert load(Hello, peer.next().head).shares is (given == 2)
    peer.call(1, 4.0)
    assert peer.answer()[2].tolist() == [[8.0]]


def test_a_worker_that_shares_no_memory_gets_all_through_the_socket(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with house(source) as here:
            big = np.ones((200_000, 1))
            assert (await here.runner.double(big)).sum() == 400_000

    # As a worker without room for the descriptors would find it.
    monkeypatch.setattr(socket, "send_fds", lambda end, pieces, _: end.sendall(b"".join(pieces)))
    go(main)


def test_the_next_batch_waits_in_the_worker(meet: Callable[..., Peer], running: Running) -> None:
    peer = meet()
    with running(peer):
        peer.call(2, 2, 3, counts=[1, 1])
        peer.send(frame.CANCEL, 2, dump(Cancel([0, -1])))
    assert peer.answer() == (1, [], [[34]])
    peer.call(3, 6)  # while the second may still run
    assert peer.answer() == (2, [0], [[6]])
    peer.call(4, 5)
    assert [peer.answer()[0] for _ in range(2)] == [3, 4]
    assert sum(seen(peer)) == 4, "a cancelled row was computed"


def test_a_batch_that_was_sent_ahead_does_not_get_in_front_of_another_peer(
    meet: Callable[..., Peer], running: Running
) -> None:
    greedy, other = meet(), meet()
    with running(greedy):
        greedy.call(2, 1, 1, 1, flags=frame.ALONE)  # so that it is not joined with the other
        other.call(3, 2, 2)
    assert other.answer()[0] == 3
    assert greedy.answer()[0] == 1
    assert greedy.next().kind == frame.BEGIN
    assert greedy.answer()[0] == 2
    assert seen(other) == [1, 2, 3]


def test_two_batches_of_one_process_are_not_joined(meet: Callable[..., Peer], running: Running) -> None:
    one, other = meet(), meet()
    with running(one):
        other.call(2, 4)
        other.call(3, 5, 5)
    assert [other.answer()[0] for _ in range(2)] == [2, 3]
    assert seen(other) == [1, 1, 2]


def test_drain_runs_what_was_sent_ahead_and_its_limit_counts_it(
    worker: RealWorker, meet: Callable[..., Peer], running: Running
) -> None:
    peer = meet()
    with running(peer):
        peer.call(2, 4, 5, counts=[1, 1])
        worker.send(Drain(limit_s=0.01))
        until(lambda: unread_bytes(worker.control) == 0)
        time.sleep(0.2)  # for the thread that has read it, and for the limit
    assert peer.answer()[0] == 1
    assert worker.message() == Drained(abandoned=2)
    assert worker.process.wait(60) == 0


def unread_bytes(end: socket.socket) -> int:
    """What was sent and the other end has not read yet (unix(7), SIOCOUTQ)."""
    return int(struct.unpack("i", fcntl.ioctl(end, termios.TIOCOUTQ, bytes(4)))[0])


def test_a_peer_that_takes_no_answers_is_disconnected_before_they_pile_up(
    worker: RealWorker, meet: Callable[..., Peer]
) -> None:
    good, deaf = meet(), meet()
    with pytest.raises(OSError, match=r"pipe|reset"):
        for number in range(50):
            deaf.call(number, *range(100, 300_100))
            good.call(number, 4)
            good.answer()
    assert number < 20
    good.call(99, 4)
    assert good.answer()[2].tolist() == [[8]]


def test_a_peer_that_does_not_read_blocks_nobody(meet: Callable[..., Peer]) -> None:
    slow, quick = meet(), meet()
    slow.call(1, *range(100, 500_100))
    quick.call(1, 4)
    assert quick.answer()[2].tolist() == [[8]]
    assert slow.answer()[2].shape == (500_000, 1)


def test_the_socket_is_for_this_user_only(worker: RealWorker) -> None:
    assert stat.S_IMODE(Path(worker.address.address).stat().st_mode) == 0o600


def test_drain_finishes_what_is_in_hand_and_says_goodbye(
    worker: RealWorker, meet: Callable[..., Peer], running: Running
) -> None:
    peer, idle = meet(), meet()
    with running(peer):
        worker.send(Drain(limit_s=120))
    kinds = []
    while frame.RESULT not in kinds:
        kinds.append(peer.next().kind)
    assert idle.next().kind == frame.BYE
    peer.socket.close()
    idle.socket.close()
    assert worker.message() == Drained(abandoned=0)
    assert worker.process.wait(60) == 0
    assert not Path(worker.address.address).exists()


def test_sigterm_drains_too_and_a_limit_ends_it(worker: RealWorker, meet: Callable[..., Peer]) -> None:
    peer = meet()
    peer.call(1, 4)
    peer.answer()
    worker.send(Drain(limit_s=0.2))  # this peer never closes
    assert worker.message() == Drained(abandoned=0)
    assert worker.process.wait(60) == 0
    with pytest.raises(EOFError):
        while peer.next().kind == frame.BYE:
            pass


def test_sigterm_of_an_idle_worker_exits_0(worker: RealWorker) -> None:
    os.kill(worker.process.pid, signal.SIGTERM)
    assert isinstance(worker.message(), Drained)
    assert worker.process.wait(60) == 0


def test_the_end_of_the_supervisor_ends_the_worker_while_it_runs(
    worker: RealWorker, meet: Callable[..., Peer]
) -> None:
    peer = meet()
    peer.call(1, 16)
    time.sleep(0.1)
    started = time.monotonic()
    worker.control.close()
    assert worker.process.wait(60) == 1
    assert time.monotonic() - started < 40  # the batch takes a minute


def test_a_runner_that_cannot_load_says_why(source: Path) -> None:
    broken = RunnerSpec(name="broken", cls="toy_service:Broken", methods={"run": MethodSpec(batch=False)})
    made = RealWorker(source, broken, "toy_service:Service", source)
    failed = made.message()
    assert isinstance(failed, Failed)
    assert "RuntimeError: no weights" in failed.error
    assert "toy_service.py" in failed.traceback
    assert made.process.wait(60) == 1
    made.control.close()


def test_connecting_to_nobody_is_unavailable(source: Path) -> None:
    async def main() -> None:
        dispatcher = Dispatcher(spec(), metrics=Counts())
        from tiffin.runtime.supervisor.control import WorkerAddress

        with pytest.raises(UnavailableError, match="cannot be reached"):
            await connect(WorkerAddress(id="x", runner="toy", address=str(source / "none.sock")), dispatcher)
        deaf = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        deaf.bind(str(source / "deaf.sock"))
        deaf.listen(1)
        address = WorkerAddress(id="x", runner="toy", address=str(source / "deaf.sock"))
        with pytest.raises(UnavailableError, match="did not say hello"):
            await connect(address, dispatcher, timeout_s=0.1)
        deaf.close()
        assert dispatcher.workers == 0

    go(main)
