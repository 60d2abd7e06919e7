"""Ragged and weighed batches of several API processes at one worker: what it joins, what the method sees."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from worker_peer import WorkerPeer

from tiffin.runtime.batching.padding import Padding
from tiffin.runtime.manifest import MethodSpec, PaddingSpec, RunnerSpec
from tiffin.runtime.wire import frame
from tiffin.runtime.wire.messages import Call, Result, dump, load
from tiffin.runtime.wire.values import pack, unpack
from tiffin.runtime.worker.inference import Inference
from tiffin.runtime.worker.serve import Server

SPEC = MethodSpec(
    cost="length",
    max_cost=39,
    padding=PaddingSpec(value=-1, arguments=["tokens"], buckets=[4, 8], lengths=True),
    sizes=[1, 4, 16],
)


class Peer(WorkerPeer):
    """Pads a call as its dispatcher would."""

    def call(self, *lengths: int) -> None:
        padding = Padding("toy.tag", SPEC)
        ragged = padding.take([[np.full(length, length) for length in lengths]], {})
        packed, buffers = pack(padding.join([ragged]))
        weight = ragged.width * len(lengths)
        self.send(frame.CALL, 1, dump(Call("tag", [len(lengths)], [], packed, b"", weight)), buffers)

    def answer(self) -> list[int]:
        received = self.next()
        assert received.kind == frame.RESULT
        rows: list[int] = unpack(load(Result, received.head).value, received.buffers).tolist()
        return rows


class Model:
    """Answers the sum of the true lengths; its first call waits until the test lets it go."""

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[int, ...], list[int]]] = []
        self.entered = threading.Event()
        self.go = threading.Event()

    def tag(self, tokens: np.ndarray, *, lengths: np.ndarray) -> np.ndarray:
        self.seen.append((tokens.shape, lengths.tolist()))
        self.entered.set()
        assert self.go.wait(120)
        return np.where(tokens >= 0, tokens, 0).sum(axis=1)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def path(tmp_path: Path, model: Model) -> Iterator[Path]:
    where = tmp_path / "worker.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(where))
    listener.listen()
    server = Server(Inference(RunnerSpec(name="toy", methods={"tag": SPEC}), {"tag": model.tag}), listener)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield where
    model.go.set()
    server.stop(0)
    thread.join(20)
    assert not thread.is_alive()


def test_only_one_bucket_and_only_what_the_cost_allows_is_joined(path: Path, model: Model) -> None:
    peers = [Peer(path) for _ in range(6)]
    peers[0].call(1)
    assert model.entered.wait(120)
    calls = [(2,), (8, 3), (3, 1), (4,) * 7, (1,)]
    for peer, lengths in zip(peers[1:], calls, strict=True):
        peer.call(*lengths)
    model.go.set()
    for peer, lengths in zip(peers, [(1,), *calls], strict=True):
        assert peer.answer() == [length * length for length in lengths]
    # 1 + 2 + 1 rows of four; seven more of them would weigh 40 and not 39. Rows are filled up to 1, 4 or 16.
    assert model.seen == [
        ((1, 4), [1]),
        ((4, 4), [2, 3, 1, 1]),
        ((4, 8), [8, 3, 3, 3]),
        ((16, 4), [4] * 16),
    ]
    for peer in peers:
        peer.close()
