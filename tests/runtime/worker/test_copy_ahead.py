"""A worker that copies the next batch to the device while it computes one: who gets what, whatever comes.

The device is played by `deferred_cuda`, so that numbers are wrong where something is not waited for.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deferred_cuda import DeferredCuda, Doubling
from worker_peer import WorkerPeer

from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.model.staging import Staging
from tiffin.runtime.wire import frame
from tiffin.runtime.wire.messages import Call, Cancel, Failure, Result, dump, load
from tiffin.runtime.wire.values import pack, unpack
from tiffin.runtime.worker.inference import Inference
from tiffin.runtime.worker.serve import Server

FAILING_ROWS = 13


class Net(Doubling):
    """Its first call waits until the test lets it go."""

    def __init__(self, device: DeferredCuda) -> None:
        super().__init__(device)
        self.ran: list[int] = []
        self.entered, self.go = threading.Event(), threading.Event()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.ran.append(len(x))
        self.entered.set()
        assert self.go.wait(120)
        if len(x) == FAILING_ROWS:
            raise ValueError("thirteen")
        return self.device.launch(lambda: {"": x * self.factor})[""]


class House:
    """A worker in a thread of this process, and peers of it."""

    def __init__(self, path: Path, device: DeferredCuda, ends: contextlib.ExitStack) -> None:
        self.path, self.ends, self.device = path, ends, device
        self.net = Net(device)
        self.staging = Staging(self.net, "net:1")
        self.spec = RunnerSpec(name="net", copy_ahead=True, methods={"predict": MethodSpec()})
        self.begun: list[list[int]] = []
        """Rows of each part of what was begun."""
        self.after_begin: Callable[[], object] = lambda: None
        """Called in the thread of the worker, once."""
        self._begin = self.staging.begin
        self.staging.begin = self._note  # type: ignore[method-assign]
        self.error: BaseException | None = None
        self.ended = threading.Event()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen()
        run = {"predict": lambda *args: self.staging.call(self.net, "predict", *args)}
        self.server = Server(Inference(self.spec, run, staging=self.staging), listener)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def peer(self) -> Peer:
        return self.ends.enter_context(contextlib.closing(Peer(self.path)))

    def running(self, peer: Peer, rows: int = 1) -> None:
        """A batch of that many rows is in the module until `go`."""
        peer.call(1, *[0.5] * rows)
        assert self.net.entered.wait(120)

    @property
    def copies(self) -> int:
        """Copies to the device."""
        return len(self.device.copies.work)

    def end(self) -> None:
        self.net.go.set()
        self.server.stop(0)
        self.thread.join(20)
        assert not self.thread.is_alive()

    def _serve(self) -> None:
        try:
            self.server.run()
        except MemoryError as error:
            self.error = error
            self.ended.set()
            self.server._trouble = None
            self.server.run()  # to its end, which closes what a process would leave to the kernel

    def _note(self, args: Any, parts: list[Any]) -> None:
        self.begun.append([len(part[0]) for part in parts])
        self._begin(args, parts)
        once, self.after_begin = self.after_begin, lambda: None
        once()


class Peer(WorkerPeer):
    def call(
        self, batch: int, *values: float, counts: Any = None, remaining: Any = (), flags: int = 0
    ) -> None:
        packed, buffers = pack((np.array(values, np.float32)[:, None],))
        head = Call("predict", counts or [len(values)], list(remaining), packed, b"")
        self.send(frame.CALL, batch, dump(head), buffers, flags)

    def answer(self) -> Any:
        """Batch, places that were dropped, values; or the message of a failure."""
        received = self.next()
        if received.kind == frame.ERROR:
            return load(Failure, received.head).message
        assert received.kind == frame.RESULT
        result = load(Result, received.head)
        value = unpack(result.value, received.buffers)
        return received.batch, result.dropped, [] if isinstance(value, list) else value[:, 0].tolist()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    device = DeferredCuda()
    device.install(monkeypatch)
    with contextlib.ExitStack() as ends:
        made = House(tmp_path / "worker.sock", device, ends)
        try:
            yield made
        finally:
            made.end()


def test_the_next_batch_is_on_its_way_before_this_one_is_answered(house: House) -> None:
    peer = house.peer()
    house.running(peer)
    peer.call(2, 3.0, 4.0)
    computed: list[int] = []
    house.after_begin = lambda: computed.append(house.device.computes.done)
    house.net.go.set()
    assert peer.answer() == (1, [], [1.0])
    assert peer.answer() == (2, [], [6.0, 8.0])
    assert house.begun == [[2]]
    assert house.copies == 2
    assert computed[0] < len(house.device.computes.work)
    peer.call(3, 5.0)  # nothing is to be begun meanwhile
    assert peer.answer() == (3, [], [10.0])


def test_rows_that_are_cancelled_or_late_are_left_out_of_what_was_begun(house: House) -> None:
    peer, other = house.peer(), house.peer()
    house.running(peer)
    peer.call(2, 1.0, 2.0, 3.0, 4.0, counts=[1, 2, 1], remaining=[60.0, 60.0, 1e-9])
    house.after_begin = lambda: peer.send(frame.CANCEL, 2, dump(Cancel([0])))
    house.net.go.set()
    assert peer.answer() == (1, [], [1.0])
    assert peer.answer() == (2, [0, 2], [4.0, 6.0])
    assert (house.begun, house.net.ran) == ([[4]], [1, 2])
    assert house.copies == 3

    peer.call(3, 7.0)
    assert peer.answer()[2] == [14.0]
    house.net.go.clear()
    house.net.entered.clear()
    house.running(other)
    peer.call(4, 8.0, 9.0)
    house.after_begin = lambda: peer.send(frame.CANCEL, 4, dump(Cancel([0])))
    house.net.go.set()
    assert peer.answer() == (4, [0], [])
    assert other.answer() == (1, [], [1.0])
    assert house.net.ran == [1, 2, 1, 1]


def test_what_is_cancelled_already_is_not_begun(house: House) -> None:
    peer = house.peer()
    house.running(peer)
    peer.call(2, 1.0, 2.0, counts=[1, 1])
    peer.send(frame.CANCEL, 2, dump(Cancel([0])))
    house.net.go.set()
    assert [peer.answer(), peer.answer()] == [(1, [], [1.0]), (2, [0], [4.0])]
    assert house.begun == []


def test_batches_of_several_processes_are_begun_joined(house: House) -> None:
    peers = [house.peer() for _ in range(3)]
    house.running(peers[0])
    for place, peer in enumerate(peers[1:]):
        peer.call(1, *range(10 * place, 10 * place + 3))
    house.net.go.set()
    assert peers[0].answer() == (1, [], [1.0])
    assert peers[1].answer() == (1, [], [0.0, 2.0, 4.0])
    assert peers[2].answer() == (1, [], [20.0, 22.0, 24.0])
    assert (house.begun, house.net.ran, house.copies) == ([[3, 3]], [1, 6], 2)


def test_a_batch_that_comes_later_is_joined_and_the_copy_begun_is_dropped(house: House) -> None:
    peers = [house.peer() for _ in range(3)]
    house.running(peers[0])
    peers[1].call(1, 1.0, 2.0)
    house.after_begin = lambda: peers[2].call(1, 3.0)
    house.net.go.set()
    assert [peer.answer()[2] for peer in peers] == [[1.0], [2.0, 4.0], [6.0]]
    assert (house.begun, house.net.ran, house.copies) == ([[2]], [1, 3], 3)


@pytest.mark.parametrize(("rows", "said"), [((FAILING_ROWS, 2), 0), ((1, FAILING_ROWS), 1)])
def test_an_exception_of_one_does_not_touch_the_other(house: House, rows: tuple[int, int], said: int) -> None:
    peer = house.peer()
    house.running(peer, rows[0])
    peer.call(2, *[3.0] * rows[1])
    house.net.go.set()
    answers = [peer.answer(), peer.answer()]
    assert answers[said] == "thirteen"
    assert answers[1 - said] == (2 - said, [], [[1.0], [6.0] * 2][1 - said])
    peer.call(3, 5.0)
    assert peer.answer() == (3, [], [10.0])


def test_when_what_was_begun_joined_raises_each_runs_by_itself(house: House) -> None:
    peers = [house.peer() for _ in range(3)]
    house.running(peers[0])
    peers[1].call(1, *range(FAILING_ROWS - 2))
    house.after_begin = lambda: peers[1].call(2, 50.0)
    peers[2].call(1, 7.0, 8.0)
    house.net.go.set()
    assert peers[0].answer() == (1, [], [1.0])
    assert peers[1].answer() == (1, [], [2.0 * at for at in range(FAILING_ROWS - 2)])
    assert peers[2].answer() == (1, [], [14.0, 16.0])
    assert peers[1].answer() == (2, [], [100.0])
    assert house.net.ran == [1, FAILING_ROWS, FAILING_ROWS - 2, 2, 1]


def test_a_suspect_is_not_touched_before_it_begins(house: House) -> None:
    peer = house.peer()
    house.running(peer)
    peer.call(2, 3.0, flags=frame.ALONE)
    house.net.go.set()
    assert peer.answer() == (1, [], [1.0])
    assert peer.next().kind == frame.BEGIN
    assert peer.answer() == (2, [], [6.0])
    assert house.begun == []


def test_a_copy_that_cannot_begin_is_told_and_the_batch_runs(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA out of memory")

    peer = house.peer()
    house.running(peer)
    peer.call(2, 3.0)
    house.after_begin = fail
    house.net.go.set()
    assert [peer.answer(), peer.answer()] == [(1, [], [1.0]), (2, [], [6.0])]
    assert "the next batch is not copied ahead: RuntimeError('CUDA out of memory')" in caplog.text


def test_a_peer_that_leaves_takes_what_was_begun_along(house: House) -> None:
    peer, leaver = house.peer(), house.peer()
    house.running(peer)
    leaver.call(1, 3.0)
    house.after_begin = leaver.close
    house.net.go.set()
    assert peer.answer() == (1, [], [1.0])
    peer.call(2, 4.0, 5.0)
    assert peer.answer() == (2, [], [8.0, 10.0])
    assert (house.begun, house.net.ran) == ([[1]], [1, 2])


def test_what_fails_in_reading_meanwhile_is_not_the_fault_of_the_batch(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll = house.server._poll

    def fail(*, wait: bool = True) -> None:
        if not wait:
            raise MemoryError("no room to read")
        poll()

    peer = house.peer()
    house.running(peer)
    monkeypatch.setattr(house.server, "_poll", fail)
    house.net.go.set()
    assert peer.answer() == (1, [], [1.0])
    assert house.ended.wait(120)
    assert str(house.error) == "no room to read"
