"""What a caller holds: a future that is awaited, started, gathered and cancelled like a coroutine."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from fake_links import Bench, settle
from virtual_time import run

from tiffin.errors import DeadlineExceededError, InferenceError, OverloadedError, UnavailableError, UsageError
from tiffin.runtime.service.context import RequestContext, set_context

ROW = np.ones((1, 1))


def test_a_call_is_on_its_way_before_it_is_awaited() -> None:
    async def main() -> None:
        bench = Bench()
        call = bench.dispatcher.call("double", (ROW,), {})
        await settle()
        bench.links[0].answer()
        assert call.done()
        assert (await call).tolist() == [[2]]

    run(main)


def test_tasks_groups_and_timeouts_take_a_call_like_a_coroutine() -> None:
    async def main() -> None:
        bench = Bench()
        call = bench.dispatcher.call
        tasks = [asyncio.create_task(call("double", (ROW,), {})) for _ in range(2)]  # type: ignore[arg-type]
        tasks.append(asyncio.ensure_future(call("double", (ROW,), {})))  # type: ignore[arg-type]
        timed = asyncio.ensure_future(asyncio.wait_for(call("double", (ROW,), {}), 5))
        await settle()
        assert bench.links[0].sent[0].counts == [1, 1, 1, 1]
        bench.links[0].answer()
        results = await asyncio.gather(*tasks, timed)
        assert [result.tolist() for result in results] == [[[2]]] * 4
        with pytest.raises(UsageError, match="did you mean"):
            await asyncio.create_task(call("dubble", (ROW,), {}))  # type: ignore[arg-type]

    run(main)


def test_a_task_that_is_cancelled_withdraws_its_call() -> None:
    async def main() -> None:
        bench = Bench(workers=0)
        task = asyncio.create_task(bench.dispatcher.call("double", (ROW,), {}))  # type: ignore[arg-type]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(bench.dispatcher.call("double", (ROW,), {}), 0.5)
        await settle()
        assert bench.dispatcher.queue_rows == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bench.dispatcher.queue_rows == bench.counts.queue_rows == 0
        assert asyncio.get_running_loop().timers() == 0  # type: ignore[attr-defined]

    run(main)


def test_a_task_that_is_cancelled_before_it_began_withdraws_its_call() -> None:
    async def main() -> None:
        bench = Bench()
        task = asyncio.create_task(bench.dispatcher.call("double", (ROW,), {}))  # type: ignore[arg-type]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settle()
        assert bench.counts.queue_rows == 0
        assert bench.links[0].cancelled or not bench.links[0].sent

    run(main)


async def refused_by_a_full_queue(bench: Bench) -> Any:
    blocker = bench.dispatcher.call("double", (ROW.repeat(9, 0),), {})
    await settle()
    waiting = bench.dispatcher.call("double", (ROW.repeat(4, 0),), {})
    call = bench.dispatcher.call("double", (ROW,), {})
    blocker.cancel()
    waiting.cancel()
    return call


async def refused_by_its_deadline(bench: Bench) -> Any:
    with RequestContext(deadline=bench.now() - 1):
        return bench.dispatcher.call("double", (ROW,), {})


async def refused_at_the_end(bench: Bench) -> Any:
    await bench_answers(bench)
    bench.dispatcher.close()
    return bench.dispatcher.call("double", (ROW,), {})


async def bench_answers(bench: Bench) -> None:
    """A first call, so that the next one of its shape is not looked at closely."""
    call = bench.dispatcher.call("double", (ROW,), {})
    await settle()
    bench.links[0].answer()
    await call


@pytest.mark.parametrize(
    ("refuse", "kind"),
    [
        (refused_by_a_full_queue, OverloadedError),
        (refused_by_its_deadline, DeadlineExceededError),
        (refused_at_the_end, UnavailableError),
    ],
)
def test_a_refusal_is_raised_where_the_call_is_awaited(refuse: Any, kind: type[Exception]) -> None:
    async def main() -> None:
        bench = Bench(max_queue_rows=4)
        call = await refuse(bench)
        (told,) = await asyncio.gather(call, return_exceptions=True)
        assert isinstance(told, kind)
        assert call.cancel() is False, "what is over cannot be withdrawn"

    run(main)


def test_equal_calls_in_a_row_and_others_between_keep_to_their_shapes() -> None:
    async def main() -> None:
        bench = Bench(max_batch_size=64)
        wide, whole = np.ones((1, 2)), np.ones((1, 1), np.int64)
        arrays = [ROW, ROW, wide, ROW, whole, ROW.repeat(3, 0), ROW, np.ones((0, 1)), ROW]
        for _ in range(3):
            calls = [bench.dispatcher.call("double", (array,), {}) for array in arrays]
            await settle()
            while bench.links[0].holds is not None:
                bench.links[0].answer()
            results = await asyncio.gather(*calls)
            for array, result in zip(arrays, results, strict=True):
                assert result.dtype == array.dtype
                assert result.tolist() == (array * 2).tolist()
        counts = [parcel.counts for parcel in bench.links[0].sent]
        assert sorted(counts[:3]) == [[1], [1], [1, 1, 1, 3, 1, 0, 1]]

    run(main)


def test_calls_are_counted_by_the_route_whose_request_made_them() -> None:
    async def ask(bench: Bench, route: str) -> None:
        set_context(RequestContext([], route=route))
        await bench.dispatcher.call("double", (ROW,), {})

    async def main() -> None:
        bench = Bench()
        first = asyncio.create_task(ask(bench, "/a"))
        await settle()
        others = [asyncio.create_task(ask(bench, "/b")), asyncio.create_task(ask(bench, ""))]
        await asyncio.sleep(0.5)
        bench.links[0].answer()
        await settle()
        bench.links[0].answer()
        await asyncio.gather(first, *others)
        (method, route, rows, waited_s), *rest = bench.counts.calls
        assert (method, route, rows, waited_s) == ("double", "/a", 1, 0.0)
        assert [(each[1], each[3]) for each in rest] == [("/b", pytest.approx(0.5)), ("", pytest.approx(0.5))]

    run(main)


def test_a_batch_that_fails_answers_nobody() -> None:
    async def main() -> None:
        bench = Bench()
        call = bench.dispatcher.call("double", (ROW,), {})
        await settle()
        bench.links[0].fail()
        with pytest.raises(InferenceError):
            await call
        assert bench.counts.calls == []

    run(main)
