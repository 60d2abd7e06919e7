"""How requests become batches, and answers find their way back."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from fake_links import Bench, settle
from virtual_time import VirtualLoop, run

from tiffin.errors import InferenceError, ResultMismatchError, UsageError, WireError
from tiffin.runtime.batching.policy import AdaptivePolicy, Decision
from tiffin.runtime.service.context import current_context


def sizes(bench: Bench) -> list[list[int]]:
    return [parcel.counts for parcel in bench.links[0].sent]


def test_arrivals_of_one_turn_go_together_and_get_their_own_rows() -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.call(1), bench.call(2, 3), bench.call(4)]
        await settle()
        assert sizes(bench) == [[1, 2, 1]]
        bench.links[0].answer()
        results = await asyncio.gather(*calls)
        assert [result.ravel().tolist() for result in results] == [[2], [4, 6], [8]]
        assert bench.counts.batches == [("double", 4, "idle worker")]

    run(main)


def test_a_worker_has_one_batch_and_the_next_is_formed_when_it_is_free() -> None:
    async def main() -> None:
        bench = Bench()
        first = bench.call(1)
        await settle()
        later = [bench.call(2), bench.call(3)]
        await settle()
        assert sizes(bench) == [[1]]
        assert bench.dispatcher.queue_rows == 2
        assert bench.dispatcher.in_flight == 1
        bench.links[0].answer()
        assert sizes(bench) == [[1], [1, 1]]
        bench.links[0].answer()
        await asyncio.gather(first, *later)

    run(main)


def test_sizes_count_rows_and_a_request_is_never_split() -> None:
    async def main() -> None:
        bench = Bench(max_batch_size=8)
        calls = [bench.call(*range(3)) for _ in range(4)] + [bench.call(*range(20)), bench.call(1)]
        await settle()
        for _ in range(4):
            bench.links[0].answer()
        assert sizes(bench) == [[3, 3], [3, 3], [20], [1]]
        results = await asyncio.gather(*calls)
        assert [len(result) for result in results] == [3, 3, 3, 3, 20, 1]
        assert [reason for _, _, reason in bench.counts.batches] == ["full", "full", "full", "idle worker"]

    run(main)


def test_a_policy_cannot_overfill_a_batch() -> None:
    class Greedy(AdaptivePolicy):
        def decide(self, now: float, queue: Any, idle: int) -> Decision:
            return Decision(dispatch=1000, reason="full") if idle else Decision()

    async def main() -> None:
        bench = Bench(max_batch_size=2, policy=lambda _: Greedy(2, 1.0, 1))
        calls = [bench.call(number) for number in range(5)]
        await settle()
        while bench.links[0].holds:
            bench.links[0].answer()
        assert sizes(bench) == [[1, 1], [1, 1], [1]]
        await asyncio.gather(*calls)

    run(main)


def test_different_shapes_dtypes_and_constants_never_share_a_batch() -> None:
    async def main() -> None:
        bench = Bench(workers=1)
        row = np.zeros((1, 4), np.float32)
        calls = [
            bench.start("double", args, kwargs)
            for args, kwargs in [
                ((row,), {}),
                ((row.astype(float),), {}),
                ((np.zeros((1, 5), np.float32),), {}),
                ((row,), {"scale": 2}),
                ((row,), {"scale": 3}),
                ((row, row), {}),
                (([1.0],), {}),
                ((row,), {"scale": 2, "table": np.arange(3)}),
                ((row,), {"scale": 2, "table": np.arange(1, 4)}),
            ]
        ]
        twins = [bench.start("double", (row,), {"scale": 2}), bench.start("other", (row,), {})]
        await settle()
        while bench.links[0].holds:
            bench.links[0].answer()
        await asyncio.gather(*calls, *twins)
        assert sorted(sum(parcel.counts) for parcel in bench.links[0].sent) == [1] * 9 + [2]

    run(main)


def test_the_lane_with_the_oldest_request_goes_first() -> None:
    async def main() -> None:
        bench = Bench(max_batch_size=2)
        blocker = bench.call(0)
        await settle()
        calls = []
        for number in range(6):  # a busy lane and, between, a rare one
            await asyncio.sleep(1)
            calls.append(bench.call(number, method="other" if number == 2 else "double"))
        await settle()
        while bench.links[0].holds:
            bench.links[0].answer()
        await asyncio.gather(blocker, *calls)
        order = [(p.method, p.args[0].ravel().tolist()) for p in bench.links[0].sent]
        assert order == [
            ("double", [0]),
            ("double", [0, 1]),
            ("other", [2]),
            ("double", [3, 4]),
            ("double", [5]),
        ]

    run(main)


def test_every_idle_worker_gets_work() -> None:
    async def main() -> None:
        bench = Bench(workers=2)
        first = bench.call(1)
        await settle()
        second = bench.call(2)
        await settle()
        assert [len(link.sent) for link in bench.links] == [1, 1]
        for link in bench.links:
            link.answer()
        await asyncio.gather(first, second)

    run(main)


def test_methods_without_batches_get_one_request_with_its_own_arguments() -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.start("hello", (name,), {"times": times}) for name, times in [("a", 1), ("b", 2)]]
        await settle()
        bench.links[0].answer("A")
        bench.links[0].answer("BB")
        assert await asyncio.gather(*calls) == ["A", "BB"]
        assert [(p.args, p.counts) for p in bench.links[0].sent] == [(("a",), []), (("b",), [])]
        assert bench.links[0].sent[0].kwargs != bench.links[0].sent[1].kwargs

    run(main)


def test_an_empty_request_is_answered_with_no_rows() -> None:
    async def main() -> None:
        bench = Bench()
        empty, other = bench.call(), bench.call(5)
        await settle()
        bench.links[0].answer()
        assert (await empty).shape == (0, 1)
        assert (await other).tolist() == [[10.0]]

    run(main)


@pytest.mark.parametrize(
    "value", [np.zeros((3, 1)), np.zeros((1, 1)), None, 5, (), {}, (np.zeros(2), np.zeros(3))]
)
def test_a_wrong_number_of_rows_fails_the_batch_and_shifts_nothing(value: Any) -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.call(1), bench.call(2)]
        await settle()
        parcel = bench.links[0]._let_go()
        bench.dispatcher.on_result(bench.links[0], parcel.batch, value, 0.0, [])
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [ResultMismatchError] * 2
        assert len(bench.links[0].sent) == 1, "it was run again"

    run(main)


def test_tuples_and_dicts_are_split_leaf_by_leaf() -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.call(1), bench.call(2, 3)]
        await settle()
        bench.links[0].answer(({"label": ["a", "b", "c"]}, np.arange(3)))
        one, two = await asyncio.gather(*calls)
        assert one[0] == {"label": ["a"]}
        assert two[0] == {"label": ["b", "c"]}
        assert two[1].tolist() == [1, 2]

    run(main)


def test_one_bad_item_fails_alone() -> None:
    async def main() -> None:
        bench = Bench(max_batch_size=64)
        calls = [bench.call(number) for number in range(16)]
        late = None
        await settle()
        while (parcel := bench.links[0].holds) is not None:
            if late is None:
                late = bench.call(100)  # arrives while the batch is being halved
                await settle()
            if 5 in parcel.args[0] or 11 in parcel.args[0]:
                bench.links[0].fail("KeyError", "'oak'")
            else:
                bench.links[0].answer()
        results = await asyncio.gather(*calls, return_exceptions=True)
        for number, result in enumerate(results):
            if number in (5, 11):
                assert isinstance(result, InferenceError)
                assert result.remote_type == "KeyError"
            else:
                assert result.tolist() == [[2 * number]]
        assert late is not None
        assert (await late).tolist() == [[200]]
        assert bench.links[0].sent[-1].args[0].tolist() == [[100]], "halves go ahead of the queue"

    run(main)


def test_errors_of_requests_keep_class_status_and_path() -> None:
    from tiffin.errors import InvalidInputError, RequestError

    async def main() -> None:
        bench = Bench()
        first = bench.call(1)
        await settle()
        bench.links[0].fail("InvalidInputError", "too small", status=422, path="$.x")
        with pytest.raises(InvalidInputError, match="too small") as told:
            await first
        assert told.value.path == "$.x"
        second = bench.call(1)
        await settle()
        bench.links[0].fail("TeapotError", "short", status=418, title="Teapot")
        with pytest.raises(RequestError, match="short") as teapot:
            await second
        assert (teapot.value.status, teapot.value.title) == (418, "Teapot")
        assert type(teapot.value).__name__ == "TeapotError"

    run(main)


def test_a_call_that_may_not_be_repeated_is_not_halved() -> None:
    async def main() -> None:
        bench = Bench(retry=False)
        calls = [bench.call(1), bench.call(2)]
        await settle()
        bench.links[0].fail()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [InferenceError] * 2
        assert len(bench.links[0].sent) == 1

    run(main)


def test_what_cannot_be_sent_fails_alone() -> None:
    async def main() -> None:
        bench = Bench()
        good = [bench.start("double", ([1],), {}), bench.start("double", ([2],), {})]
        bad = bench.start("double", ([object()],), {})
        await settle()
        while bench.links[0].holds:
            bench.links[0].answer()
        with pytest.raises(WireError, match=r"builtins\.object"):
            await bad
        assert await asyncio.gather(*good) == [[2], [4]]

    run(main)


@pytest.mark.parametrize("args", [(), (5,), (np.float64(3),), (np.array(3.0),), ([1], [1, 2])])
def test_arguments_without_rows_are_refused(args: tuple[Any, ...]) -> None:
    async def main() -> None:
        bench = Bench()
        with pytest.raises(UsageError, match="batch method"):
            await bench.start("double", args, {})

    run(main)


def test_an_unknown_method_names_the_nearest() -> None:
    async def main() -> None:
        bench = Bench()
        with pytest.raises(UsageError, match="did you mean 'double'"):
            await bench.start("dubble", (), {})

    run(main)


def test_decisions_are_made_outside_every_request() -> None:
    seen: list[object] = []

    class Nosy(AdaptivePolicy):
        def decide(self, now: float, queue: Any, idle: int) -> Decision:
            seen.append(current_context())
            return super().decide(now, queue, idle)

    async def main() -> None:
        bench = Bench(policy=lambda _: Nosy(8, 1.0, 1))
        call = bench.call(1, within=5)
        await settle()
        bench.links[0].answer()
        await call

    run(main)
    assert seen
    assert set(seen) == {None}


def test_an_idle_dispatcher_keeps_nothing() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        bench = Bench()
        for _ in range(3):
            call = bench.call(1, within=30)
            await settle()
            assert loop.timers() == 1
            bench.links[0].answer()
            await call
            assert loop.timers() == 0
        room = bench.dispatcher._room
        assert not room
        assert not list(room.lanes())
        assert not room.fresh
        assert (bench.dispatcher.queue_rows, bench.dispatcher.in_flight, bench.counts.queue_rows) == (0, 0, 0)

    run(main)


def test_one_timer_serves_a_thousand_deadlines() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        bench = Bench()
        calls = [bench.call(number, within=10 + number % 7) for number in range(100)]
        await settle()
        assert loop.timers() == 1
        while bench.links[0].holds:
            bench.links[0].answer()
        await asyncio.gather(*calls)
        assert loop.timers() == 0

    run(main)
