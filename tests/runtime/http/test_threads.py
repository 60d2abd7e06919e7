"""The pool of sync apis: bounded, with the caller's context."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import numpy as np
import pytest
from fake_links import Bench, settle

from tiffin.errors import OverloadedError
from tiffin.runtime.batching.remote import RemoteRunner
from tiffin.runtime.http.threads import Threads

_value: contextvars.ContextVar[int] = contextvars.ContextVar("value", default=0)


def test_context_goes_along_and_changes_do_not_come_back() -> None:
    def work(x: int) -> int:
        seen = _value.get()
        _value.set(99)
        return seen + x

    async def main() -> None:
        threads = Threads(2)
        _value.set(7)
        assert await threads.call(work, {"x": 1}) == 8
        assert _value.get() == 7
        threads.close()

    asyncio.run(main())


def test_full_queue_is_refused_and_cancelled_calls_never_run() -> None:
    async def main() -> None:
        threads = Threads(size=1, waiting=1)
        began, release = threading.Event(), threading.Event()
        ran: list[str] = []

        def hold() -> None:
            began.set()
            release.wait(60)

        def note(**_: Any) -> None:
            ran.append("ran")

        first = asyncio.create_task(threads.call(hold, {}))
        await asyncio.to_thread(began.wait, 10)
        second = asyncio.create_task(threads.call(note, {}))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await threads.call(note, {})
        second.cancel()
        await asyncio.wait({second})
        third = asyncio.create_task(threads.call(note, {}))
        await asyncio.sleep(0)
        release.set()
        await first
        await third
        assert ran == ["ran"]
        assert threads._held == 0
        threads.close()

    asyncio.run(main())


def test_a_sync_api_waits_for_no_runner_when_its_caller_has_gone() -> None:
    async def main() -> None:
        threads, bench = Threads(1), Bench()
        loop = asyncio.get_running_loop()
        runner = RemoteRunner(bench.dispatcher.spec, bench.dispatcher, loop)
        ended: list[Any] = []
        waits = threading.Event()

        def api(row: np.ndarray) -> None:
            waits.set()
            for method in (runner.double, runner.double.one):
                with pytest.raises(asyncio.CancelledError):
                    method(row)
                ended.append(method)

        running, waiting = bench.call(1), asyncio.create_task(threads.call(api, {"row": np.ones((1, 1))}))
        await asyncio.to_thread(waits.wait, 10)
        while not bench.dispatcher.queue_rows:  # noqa: ASYNC110 - the thread says nothing
            await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert await threads.call(lambda: "free", {}) == "free"
        await settle()
        assert len(ended) == 2
        assert bench.dispatcher.queue_rows == 0
        bench.links[0].answer()
        assert (await running).tolist() == [[2]]
        assert len(bench.links[0].sent) == 1
        assert await threads.call(_doubled, {"runner": runner, "bench": bench, "loop": loop}) == 8
        threads.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def _doubled(runner: Any, bench: Bench, loop: asyncio.AbstractEventLoop) -> float:
    """A call that nobody cancels, of a thread that was cancelled before."""

    def answer() -> None:
        if bench.links[0].held:
            bench.links[0].answer()
        else:
            loop.call_later(0.001, answer)

    loop.call_soon_threadsafe(answer)
    return float(runner.double(np.full((1, 1), 4.0))[0, 0])
