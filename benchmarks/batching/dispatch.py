"""What the dispatcher costs: `python -m tiffin.benchmarks.batching.dispatch [--callers 64] [--workers 2]`.

Callers in one loop call a runner whose workers answer in the next turn of the loop, without processes or
sockets: what is left is the call, the policy, the batch, sharing the answer out, and asyncio itself. Shown
beside what asyncio alone takes for as many callers and futures. CPU time, the least of interleaved runs.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from ...runtime.batching.dispatcher import Dispatcher
from ...runtime.batching.parcel import Parcel
from ...runtime.batching.remote import RemoteRunner
from ...runtime.manifest import MethodSpec, RunnerSpec
from ...runtime.metrics.cells import MemoryCells
from ...runtime.metrics.metrics import Metrics
from ...runtime.server.process import GC_THRESHOLD
from ...runtime.service.context import RequestContext, set_context


class InstantWorker:
    """Answers each batch with its own rows, after as many turns of the loop as were asked for."""

    def __init__(self, dispatcher: Dispatcher, name: str, turns: int) -> None:
        self.id = name
        self.batches = self.requests = 0
        self._dispatcher = dispatcher
        self._loop = asyncio.get_running_loop()
        self._turns = turns

    def send(self, parcel: Parcel) -> None:
        self.batches += 1
        self.requests += len(parcel.counts)
        self._loop.call_soon(self._answer, parcel, self._turns)

    def _answer(self, parcel: Parcel, turns: int) -> None:
        if turns > 1:
            self._loop.call_soon(self._answer, parcel, turns - 1)
        else:
            self._dispatcher.on_result(self, parcel.batch, parcel.args[0], 1e-4, [])

    def cancel(self, batch: int, requests: list[int]) -> None: ...
    def finish(self) -> None: ...
    def abort(self) -> None: ...


async def through_dispatcher(
    callers: int, requests: int, workers: int, turns: int, cap: int
) -> tuple[float, float]:
    """(CPU seconds a request, requests a batch)."""
    spec = RunnerSpec(
        name="toy", cls="toy:Toy", workers=workers, max_batch_size=cap, methods={"predict": MethodSpec()}
    )
    metrics = Metrics(MemoryCells(), Path(), "api-0", "bench").runner("toy")
    dispatcher = Dispatcher(spec, metrics=metrics)
    links = [InstantWorker(dispatcher, f"w{number}", turns) for number in range(workers)]
    for link in links:
        dispatcher.add_worker(link)
    runner = RemoteRunner(spec, dispatcher, asyncio.get_running_loop())

    async def caller() -> None:
        row, predict = np.zeros((1, 4), np.float32), runner.predict
        set_context(RequestContext(deadline=time.monotonic() + 60))
        for _ in range(requests):
            await predict(row)

    spent = await _cpu(callers, requests, caller)
    batches = sum(link.batches for link in links)
    return spent, sum(link.requests for link in links) / batches


async def asyncio_alone(callers: int, requests: int) -> float:
    """CPU seconds a request: a coroutine, a future and its callback, nothing else."""
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[Any]] = []

    def answer() -> None:
        for future in waiting:
            future.set_result(None)
        waiting.clear()

    async def caller() -> None:
        for _ in range(requests):
            future = loop.create_future()
            if not waiting:
                loop.call_soon(answer)
            waiting.append(future)
            await future

    return await _cpu(callers, requests, caller)


async def _cpu(callers: int, requests: int, caller: Any) -> float:
    began = time.process_time()
    await asyncio.gather(*[asyncio.ensure_future(caller()) for _ in range(callers)])
    return (time.process_time() - began) / (callers * requests)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--requests", type=int, default=600, help="of each caller")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cap", type=int, default=32, help="most rows of a batch")
    parser.add_argument("--turns", type=int, default=1, help="of the loop that a batch takes")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    least = alone = float("inf")
    rows = 0.0
    profile = cProfile.Profile() if args.profile else None
    gc.freeze()  # as an API process does
    gc.set_threshold(GC_THRESHOLD, 20, 20)
    loop = uvloop.new_event_loop()
    for _ in range(args.runs):
        alone = min(alone, loop.run_until_complete(asyncio_alone(args.callers, args.requests)))
        if profile:
            profile.enable()
        spent, rows = loop.run_until_complete(
            through_dispatcher(args.callers, args.requests, args.workers, args.turns, args.cap)
        )
        if profile:
            profile.disable()
        least = min(least, spent)
    loop.close()
    print(
        f"{args.callers} callers, batches of {rows:.1f}: {least * 1e6:.2f} µs of CPU a request, "
        f"asyncio alone {alone * 1e6:.2f} µs"
    )
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
