"""What batching dispatchers get wrong elsewhere, one test each: learned policy, virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fake_links import Bench, FakeLink, settle
from virtual_time import VirtualLoop, run

from tiffin.errors import DeadlineExceededError, InferenceError, OverloadedError, ResultMismatchError
from tiffin.runtime.batching.parcel import Parcel
from tiffin.runtime.service.context import RequestContext, current_context

Serve = Callable[[FakeLink, Parcel], None]


def model(fixed_s: float, row_s: float = 0.0, bad: float | None = None) -> Serve:
    """Doubles its rows, in `fixed_s + rows * row_s` seconds; raises for a batch with the row `bad`."""

    def serve(link: FakeLink, parcel: Parcel) -> None:
        answer = link.fail if bad is not None and bad in parcel.args[0] else link.answer
        asyncio.get_running_loop().call_later(fixed_s + sum(parcel.counts) * row_s, answer)

    return serve


def learned(serve: Serve | None = None, **fields: Any) -> Bench:
    return Bench(serve=serve, policy=None, **{"max_batch_size": 64, **fields})


async def timed(bench: Bench, *rows: float, **options: Any) -> tuple[float, Any]:
    """(seconds until the answer, the rows of it or the error)."""
    began = bench.now()
    (told,) = await asyncio.gather(bench.call(*rows, **options), return_exceptions=True)
    return bench.now() - began, told if isinstance(told, Exception) else told.ravel().tolist()


async def warm(bench: Bench, rows: int = 64, times: int = 12) -> None:
    for _ in range(times):
        await asyncio.gather(*(bench.call(number) for number in range(rows)))


def test_a_lone_caller_after_a_burst_pays_no_more_than_an_idle_server_takes() -> None:
    async def main() -> None:
        bench = learned(model(0.010, 0.0001))
        idle_s = min([(await timed(bench, 1))[0] for _ in range(5)])
        burst = []
        for _ in range(400):
            burst += [asyncio.ensure_future(timed(bench, number)) for number in range(5)]
            await asyncio.sleep(0.002)
        await asyncio.gather(*burst)
        ended, worst = bench.now(), 0.0
        while bench.now() < ended + 1:
            took, told = await timed(bench, 7)
            assert told == [14]
            worst = max(worst, took)
            await asyncio.sleep(0.03)
        assert worst <= 1.5 * idle_s

    run(main)


def test_of_400_at_once_with_room_for_85_in_time_85_are_served_and_the_others_refused_at_once() -> None:
    async def main() -> None:
        bench = learned(model(0.043), max_latency_ms=100)  # rows / 64 * 43 ms + 43 ms <= 100 ms up to 84.8
        await warm(bench)
        outcomes = await asyncio.gather(*(timed(bench, number) for number in range(400)))
        served = [took for took, told in outcomes if isinstance(told, list)]
        refused = [(took, told) for took, told in outcomes if not isinstance(told, list)]
        assert 80 <= len(served) <= 90
        assert max(served) <= 0.1
        for took, told in refused:
            assert took == 0
            assert isinstance(told, OverloadedError)
            assert told.retry_after_s > 0
        assert sum(len(parcel.counts) for parcel in bench.links[0].sent) == 12 * 64 + len(served)

    run(main)


def test_cancelled_and_timed_out_rows_never_reach_the_model() -> None:
    async def main() -> None:
        bench = learned(model(1.0), max_batch_size=100)
        await warm(bench, rows=1, times=1)
        ahead = bench.call(1000)
        await settle()
        stay = [bench.call(number) for number in range(20)]
        late = [bench.call(100 + number, within=0.5) for number in range(20)]
        gone = [bench.call(200 + number) for number in range(20)]
        await settle()
        for call in gone:
            call.cancel()
        results = await asyncio.gather(*stay, ahead, *late, return_exceptions=True)
        assert [result.tolist() for result in results[:21]] == [[[2 * n]] for n in [*range(20), 1000]]
        assert {type(error) for error in results[21:]} == {DeadlineExceededError}
        reached = np.concatenate([parcel.args[0] for parcel in bench.links[0].sent])
        assert reached.ravel().tolist() == [0, 1000, *range(20)]
        assert bench.dispatcher.queue_rows == 0

    run(main)


def test_every_request_sees_its_own_context() -> None:
    async def main() -> None:
        bench = learned(model(0.01))

        async def caller(number: int) -> None:
            with RequestContext(raw_headers=[(b"x-user", str(number).encode())]) as own:
                for _ in range(3):
                    result = await bench.dispatcher.call("double", (np.full((1, 1), number),), {})
                    assert result.tolist() == [[2 * number]]
                    assert current_context() is own
                    assert own.headers["x-user"] == str(number)

        await asyncio.gather(*(caller(number) for number in range(64)))
        assert max(len(parcel.counts) for parcel in bench.links[0].sent) > 32, "they shared batches"

    run(main)


def test_a_result_with_the_wrong_number_of_rows_fails_its_batch_loudly_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        bench = learned()
        short = [bench.call(number) for number in range(8)]
        await settle()
        right = [bench.call(number) for number in range(8)]
        await settle()
        bench.links[0].answer(np.zeros((7, 1)))
        assert [type(told) for told in await asyncio.gather(*short, return_exceptions=True)] == [
            ResultMismatchError
        ] * 8
        await asyncio.sleep(1)
        bench.links[0].answer()
        assert [result.tolist() for result in await asyncio.gather(*right)] == [[[2 * n]] for n in range(8)]

    with caplog.at_level(logging.ERROR, "tiffin.batching"):
        run(main)
    (record,) = caplog.records
    assert record.message.startswith("toy.double: a batch of 8 rows came back as 7 rows")


def test_one_bad_item_of_64_fails_alone_and_63_are_answered_within_the_deadline() -> None:
    async def main() -> None:
        bench = learned(model(0.01, 0.0001, bad=41))
        calls = [asyncio.ensure_future(timed(bench, number, within=0.25)) for number in range(64)]
        outcomes = await asyncio.gather(*calls)
        assert len(bench.links[0].sent[0].counts) == 64
        for number, (took, told) in enumerate(outcomes):
            assert took < 0.25
            if number == 41:
                assert isinstance(told, InferenceError)
            else:
                assert told == [2 * number]

    run(main)


def test_ragged_shapes_go_to_separate_batches() -> None:
    async def main() -> None:
        bench = learned(model(0.01))
        arrays = [np.full((1, 1 + number % 3), number) for number in range(30)]
        calls = [bench.start("double", (array,), {}) for array in arrays]
        for array, result in zip(arrays, await asyncio.gather(*calls), strict=True):
            assert result.tolist() == (array * 2).tolist()
        assert [parcel.args[0].shape for parcel in bench.links[0].sent] == [(10, 1), (10, 2), (10, 3)]

    run(main)


def test_extra_keyword_arguments_never_mix_between_callers() -> None:
    async def main() -> None:
        bench = learned(model(0.01))
        scales = [{}, {"scale": 2}, {"scale": 3}, {"scale": 2.0}, {"scale": 2, "shift": 1}]
        calls = [bench.call(number, **scales[number % 5]) for number in range(30)]  # type: ignore[arg-type]
        await asyncio.gather(*calls)
        assert len({parcel.kwargs[0] for parcel in bench.links[0].sent}) == 5
        for parcel in bench.links[0].sent:
            numbers = parcel.args[0].ravel().astype(int) % 5
            assert len(set(numbers)) == 1, "callers with different constants shared a batch"

    run(main)


@pytest.mark.parametrize("limit_ms", [None, 50])
def test_an_idle_server_burns_no_cpu_no_timer_is_armed(limit_ms: float | None) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        bench = learned(model(0.004, 0.0002), max_latency_ms=limit_ms)

        async def caller(number: int) -> None:
            for _ in range(20):
                await asyncio.gather(bench.call(number, within=30), return_exceptions=True)
                await asyncio.sleep(0.001 * (number % 4))

        await asyncio.gather(*(caller(number) for number in range(32)))
        assert bench.dispatcher.explain()["methods"]["double"]["decisions"]["hold"] > 0
        await settle()
        assert loop.timers() == 0
        assert not loop._ready  # type: ignore[attr-defined]

    run(main)
