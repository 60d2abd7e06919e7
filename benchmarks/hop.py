"""What the hop to a worker and back costs in CPU time, a batch, at either end.

    python benchmarks/hop.py [seconds]

One row of four float32 a request, as the iris example has them. The worker is a process of its own that runs
the real serving loop around a scikit-learn model, and around one that does nothing, which leaves our part; it
is fed by hand over a real Unix socket. The end in the API process is measured apart, without system calls.
CPU times come from the scheduler's clock, minima of several runs; the machine should have nothing else to do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from report import keep, table
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tiffin.runtime.batching.link import Link
from tiffin.runtime.batching.parcel import parcel_of
from tiffin.runtime.batching.request import NO_KWARGS
from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.model.framework import framework
from tiffin.runtime.wire import frame
from tiffin.runtime.wire.messages import PROTOCOL, Call, Hello, Result, dump
from tiffin.runtime.wire.values import pack
from tiffin.runtime.worker.__main__ import listen
from tiffin.runtime.worker.inference import Inference
from tiffin.runtime.worker.serve import Server

SIZES = (1, 8, 32, 64)
RUNS = 5
SPEC = RunnerSpec(name="iris", model="iris:1", methods={"predict": MethodSpec()}, max_batch_size=64)
Run = Callable[[np.ndarray], Any]


def classifier() -> Run:
    data = load_iris()
    model = LogisticRegression(max_iter=1000).fit(data.data.astype(np.float32), data.target)
    call = framework("sklearn").call
    return lambda x: call(model, "predict", x)


def nothing() -> Run:
    return lambda x: np.zeros(len(x), np.int64)


class Worker:
    """The serving loop in a process of its own."""

    def __init__(self, folder: str, run: Run) -> None:
        self.path = f"{folder}/{time.monotonic_ns()}.sock"
        listener = listen(self.path)
        self.pid = os.fork()
        if not self.pid:
            try:
                Server(Inference(SPEC, {"predict": run}), listener).run()
            finally:
                os._exit(1)
        listener.close()

    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def cpu_s(pid: int) -> float:
    """Of all threads; the kernel counts in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Feeder:
    """An API process that sends the same bytes again and again and does not look at the answers."""

    def __init__(self, path: str) -> None:
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.end.connect(path)
        self.end.sendall(b"".join(frame.encode(frame.HELLO, 0, dump(Hello(PROTOCOL, "feeder")))))
        self.space = bytearray(1 << 20)
        self.end.recv_into(self.space)

    def round(self, call: bytes) -> None:
        self.end.sendall(call)
        got = 0
        while got < 4 or got < 4 + int.from_bytes(self.space[:4], "little"):
            got += self.end.recv_into(memoryview(self.space)[got:])


def call_of(rows: int) -> bytes:
    packed, buffers = pack((np.ones((rows, 4), np.float32),))
    head = Call("predict", [1] * rows, [30.0] * rows, packed, b"")
    return b"".join(frame.encode(frame.CALL, 7, dump(head), buffers))


def worker_cost(folder: str, run: Run, seconds: float) -> dict[int, float]:
    """Seconds of CPU a batch, by rows."""
    worker = Worker(folder, run)
    try:
        feeder = Feeder(worker.path)
        best = {}
        for rows in SIZES:
            call = call_of(rows)
            costs = []
            for _ in range(RUNS):
                before, stop, rounds = worker.cpu_s(), time.perf_counter() + seconds, 0
                while time.perf_counter() < stop:
                    feeder.round(call)
                    rounds += 1
                costs.append((worker.cpu_s() - before) / rounds)
            best[rows] = min(costs)
        return best
    finally:
        worker.end()


def model_cost(run: Run, seconds: float) -> dict[int, float]:
    """The same for the model alone."""
    best = {}
    for rows in SIZES:
        x = np.ones((rows, 4), np.float32)
        costs = []
        for _ in range(RUNS):
            before, stop, rounds = time.process_time(), time.perf_counter() + seconds, 0
            while time.perf_counter() < stop:
                run(x)
                rounds += 1
            costs.append((time.process_time() - before) / rounds)
        best[rows] = min(costs)
    return best


class Sink:
    """A dispatcher that takes results and gives nobody anything."""

    def on_result(self, *result: Any) -> None:
        self.result = result


class NoTransport(asyncio.Transport):
    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


class NoSocket:
    """Takes what is sent."""

    def send(self, data: Any) -> int:
        return len(data)

    def sendmsg(self, pieces: Any) -> int:
        return sum(map(len, pieces))


async def link_cost(seconds: float) -> dict[int, tuple[float, float]]:
    """Seconds of CPU a batch to send it and to take the result, without the system calls."""
    link = Link("w", Sink(), NoSocket(), None, None)  # type: ignore[arg-type]
    link.connection_made(NoTransport())
    method = SimpleNamespace(name="predict", spec=MethodSpec(), padding=None, cost=None)
    lane = SimpleNamespace(method=method, kwargs=NO_KWARGS)
    best = {}
    for rows in SIZES:
        requests = [
            SimpleNamespace(args=(np.ones((1, 4), np.float32),), count=1, deadline=30.0) for _ in range(rows)
        ]
        batch: Any = SimpleNamespace(lane=lane, requests=requests, number=7, alone=False)
        packed, buffers = pack(np.zeros(rows, np.int64))
        answer = b"".join(frame.encode(frame.RESULT, 7, dump(Result(packed, 1e-4, [])), buffers))

        def send(batch: Any = batch) -> None:
            link.send(parcel_of(batch, 1.0))

        def take(answer: bytes = answer) -> None:
            link.get_buffer(65536)[: len(answer)] = answer
            link.buffer_updated(len(answer))

        best[rows] = cost(send, seconds), cost(take, seconds)
    return best


def cost(what: Callable[[], None], seconds: float) -> float:
    costs = []
    for _ in range(RUNS):
        before, stop, rounds = time.process_time(), time.perf_counter() + seconds, 0
        while time.perf_counter() < stop:
            what()
            rounds += 1
        costs.append((time.process_time() - before) / rounds)
    return min(costs)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.3
    with tempfile.TemporaryDirectory() as folder:
        alone = model_cost(classifier(), seconds)
        whole = worker_cost(folder, classifier(), seconds)
        ours = worker_cost(folder, nothing(), seconds)
    links = asyncio.run(link_cost(seconds))

    costs = {
        "scikit-learn alone": alone,
        "worker with it": whole,
        "worker with nothing": ours,
        "API process: send": {rows: sent for rows, (sent, _) in links.items()},
        "API process: take": {rows: took for rows, (_, took) in links.items()},
    }
    table(
        ["us of CPU a batch", *(f"{rows} rows" for rows in SIZES)],
        [[name, *(f"{cost[rows] * 1e6:.1f}" for rows in SIZES)] for name, cost in costs.items()],
    )
    keep("hop", {"cpu_s_per_batch": costs})


if __name__ == "__main__":
    main()
