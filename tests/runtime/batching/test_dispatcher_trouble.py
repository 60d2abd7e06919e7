"""Deadlines, disconnects, crashes, stuck workers, overload."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fake_links import Bench, settle
from virtual_time import VirtualLoop, run

from tiffin.errors import (
    DeadlineExceededError,
    InferenceError,
    OverloadedError,
    PoisonRequestError,
    UnavailableError,
    WireError,
    WorkerCrashedError,
)
from tiffin.runtime.batching.recovery import MOST_LOSSES


async def outcome(call: asyncio.Task[Any]) -> Any:
    """The result as numbers, or the exception."""
    try:
        return (await call).ravel().tolist()
    except Exception as error:  # noqa: BLE001 - it is what the test looks at
        return error


# -- deadlines


def test_an_expired_request_never_reaches_a_model() -> None:
    async def main() -> None:
        bench = Bench()
        first = bench.call(1, within=100)
        await settle()
        second, third = bench.call(2, within=3), bench.call(3, within=50)
        await asyncio.sleep(4)
        assert isinstance(await outcome(second), DeadlineExceededError)
        bench.links[0].answer()
        assert bench.links[0].sent[1].args[0].tolist() == [[3]]
        bench.links[0].answer()
        assert [await outcome(first), await outcome(third)] == [[2], [6]]

    run(main)


def test_a_deadline_is_kept_to_the_millisecond_without_any_worker() -> None:
    async def main() -> None:
        bench = Bench(workers=0)
        started = bench.now()
        ends = {}
        calls = {within: bench.call(1, within=within) for within in (0.5, 2, 0.25, 7)}
        for within, call in calls.items():
            call.add_done_callback(lambda _, within=within: ends.update({within: bench.now() - started}))
        for call in calls.values():
            assert isinstance(await outcome(call), UnavailableError)
        assert ends == pytest.approx({within: within for within in calls}, abs=0.002)
        assert bench.counts.queue_rows == 0

    run(main)


def test_a_deadline_that_passed_before_the_call_is_refused() -> None:
    async def main() -> None:
        bench = Bench()
        assert isinstance(await outcome(bench.call(1, within=-1)), DeadlineExceededError)
        assert not bench.links[0].sent

    run(main)


def test_a_deadline_in_the_model_answers_the_caller_and_tells_the_worker() -> None:
    async def main() -> None:
        bench = Bench()
        late, patient = bench.call(1, within=2), bench.call(2, within=20)
        await settle()
        assert bench.links[0].sent[0].remaining_s == pytest.approx([2, 20])
        assert isinstance(await outcome(late), DeadlineExceededError)
        assert bench.links[0].cancelled == [(1, [0])]
        queued = bench.call(3)
        await settle()
        assert len(bench.links[0].sent) == 1, "the slot was given away before the worker answered"
        bench.links[0].answer()
        bench.links[0].answer()
        assert [await outcome(patient), await outcome(queued)] == [[4], [6]]

    run(main)


def test_calls_without_a_deadline_send_none() -> None:
    async def main() -> None:
        bench = Bench()
        call = bench.call(1)
        await settle()
        assert bench.links[0].sent[0].remaining_s == []
        bench.links[0].answer()
        await call

    run(main)


def test_requests_that_the_worker_dropped_are_late_and_the_others_get_their_rows() -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.call(number) for number in range(3)]
        await settle()
        bench.links[0].answer(bench.links[0].sent[0].args[0][[0, 2]] * 2, dropped=(1,))
        results = [await outcome(call) for call in calls]
        assert (results[0], results[2]) == ([0], [4])
        assert isinstance(results[1], DeadlineExceededError)

    run(main)


# -- disconnects


def test_a_cancelled_request_leaves_the_queue() -> None:
    async def main() -> None:
        bench = Bench()
        first = bench.call(1)
        await settle()
        gone, stays = bench.call(2, 2), bench.call(3)
        await settle()
        gone.cancel()
        await settle()
        assert bench.dispatcher.queue_rows == 1
        bench.links[0].answer()
        assert bench.links[0].sent[1].args[0].tolist() == [[3]]
        bench.links[0].answer()
        assert [await outcome(first), await outcome(stays)] == [[2], [6]]

    run(main)


def test_a_cancel_in_the_same_turn_as_the_decision_wins() -> None:
    async def main() -> None:
        bench = Bench()
        call = bench.call(1)
        await asyncio.sleep(0)  # it has arrived, the decision is due
        call.cancel()
        await settle()
        assert not bench.links[0].sent
        assert bench.counts.queue_rows == 0

    run(main)


def test_a_cancel_in_the_model_frees_the_slot_only_with_the_answer() -> None:
    async def main() -> None:
        bench = Bench()
        gone = bench.call(1)
        await settle()
        gone.cancel()
        await settle()
        assert bench.links[0].cancelled == [(1, [0])]
        waits = bench.call(2)
        await settle()
        assert len(bench.links[0].sent) == 1
        bench.links[0].answer([], dropped=(0,))
        bench.links[0].answer()
        assert await outcome(waits) == [4]

    run(main)


def test_a_plain_call_that_the_worker_did_not_even_run_has_no_result() -> None:
    """The worker answers with no rows, as it does for a batch; the next answer is still the neighbour's."""

    async def main() -> None:
        bench = Bench()
        gone = bench.start("hello", (1,), {})
        await settle()
        gone.cancel()
        waits = bench.start("hello", (2,), {})
        await settle()
        bench.links[0].answer([], dropped=(0,))
        await settle()
        bench.links[0].answer("two")
        assert await waits == "two"

    run(main)


def test_what_is_to_run_again_can_be_cancelled() -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.call(1), bench.call(2)]
        await settle()
        bench.links[0].die()
        assert bench.dispatcher.queue_rows == 2
        calls[0].cancel()
        await settle()
        link = bench.hire("w9")
        await settle()
        assert link.sent[0].args[0].tolist() == [[2]]
        link.answer()
        assert await outcome(calls[1]) == [4]
        assert bench.counts.queue_rows == 0

    run(main)


# -- crashes


def test_a_crash_runs_its_requests_again_alone_and_nobody_notices() -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.call(1), bench.call(2)]
        await settle()
        waiting = bench.call(3)
        bench.links[0].die()
        link = bench.hire("w1")
        await settle()
        while link.holds:
            link.answer()
        assert [(p.args[0].ravel().tolist(), p.alone) for p in link.sent] == [
            ([1], True),
            ([2], True),
            ([3], False),
        ]
        assert [await outcome(call) for call in [*calls, waiting]] == [[2], [4], [6]]

    run(main)


def test_the_request_that_ends_two_workers_is_poison_and_its_neighbours_are_not() -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.call(number) for number in range(8)]
        await settle()
        hired, link = 0, bench.links[0]
        while link.holds:
            if 3 in link.holds.args[0]:
                if link.holds.alone:
                    bench.dispatcher.on_begin(link, link.holds.batch)
                link.die()
                hired += 1
                link = bench.hire(f"new{hired}")
                await settle()
            else:
                link.answer()
        results = [await outcome(call) for call in calls]
        assert isinstance(results.pop(3), PoisonRequestError)
        assert results == [[2 * number] for number in range(8) if number != 3]
        assert hired == 2

    run(main)


def test_a_suspect_that_had_not_begun_when_its_worker_ended_is_not_to_blame() -> None:
    async def main() -> None:
        bench = Bench()
        call = bench.call(1)
        await settle()
        link = bench.links[0]
        for number in range(4):  # a neighbour from another process ends worker after worker
            link.die()
            link = bench.hire(f"new{number}")
            await settle()
            assert link.holds is not None
            assert link.holds.alone
        link.answer()
        assert await outcome(call) == [2]

    run(main)


def test_a_call_that_no_worker_can_even_begin_is_not_tried_for_ever() -> None:
    """A worker, say, that has no memory to take it in and drops the connection."""

    async def main() -> None:
        bench = Bench()
        call = bench.call(1)
        await settle()
        link = bench.links[0]
        for number in range(1 + MOST_LOSSES):
            assert not call.done()
            assert link.holds is not None
            link.die("connection lost: no more")
            link = bench.hire(f"new{number}")
            await settle()
        error = await outcome(call)
        assert isinstance(error, WorkerCrashedError)
        assert f"{MOST_LOSSES} times the worker of runner 'toy'" in str(error)
        assert "connection lost: no more" in str(error)
        again = bench.call(1)  # it is no poison: nobody knows what it would have done
        await settle()
        link.answer()
        assert await outcome(again) == [2]

    run(main)


def test_a_call_that_may_not_be_repeated_fails_with_its_worker() -> None:
    async def main() -> None:
        bench = Bench(retry=False)
        sent = bench.call(1)
        await settle()
        waiting = bench.call(2)
        await settle()
        bench.links[0].die("connection lost")
        assert isinstance(await outcome(sent), WorkerCrashedError)
        link = bench.hire("w1")
        await settle()
        link.answer()
        assert await outcome(waiting) == [4]

    run(main)


def test_the_deadline_holds_while_a_replacement_starts() -> None:
    async def main() -> None:
        bench = Bench()
        call = bench.call(1, within=5)
        await settle()
        bench.links[0].die()
        assert isinstance(await outcome(call), UnavailableError)
        assert isinstance(asyncio.get_running_loop(), VirtualLoop)
        assert asyncio.get_running_loop().timers() == 0  # type: ignore[attr-defined]
        assert bench.dispatcher.queue_rows == 0

    run(main)


def test_an_answer_that_was_not_asked_for_is_an_error_of_the_wire() -> None:
    async def main() -> None:
        bench = Bench()
        call = bench.call(1)
        await settle()
        with pytest.raises(WireError, match="batch 7"):
            bench.dispatcher.on_result(bench.links[0], 7, None, 0.0, [])
        bench.links[0].answer()
        await call
        with pytest.raises(WireError, match="not given"):
            bench.dispatcher.on_result(bench.links[0], 1, None, 0.0, [])

    run(main)


def test_a_retired_worker_answers_what_it_has_and_gets_nothing_new() -> None:
    async def main() -> None:
        bench = Bench(workers=2)
        busy = bench.call(1)
        await settle()
        for link in bench.links:
            bench.dispatcher.retire_worker(link)
        assert [link.finished for link in bench.links] == [False, True]
        later = bench.call(2)
        await settle()
        bench.links[0].answer()
        assert bench.links[0].finished
        assert await outcome(busy) == [2]
        link = bench.hire("new")
        await settle()
        link.answer()
        assert await outcome(later) == [4]

    run(main)


def test_close_answers_everybody_and_refuses_the_next() -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.call(1)]
        await settle()
        calls += [bench.call(2), bench.call(3, within=9)]
        await settle()
        bench.dispatcher.close()
        calls.append(bench.call(4))
        assert [type(await outcome(call)) for call in calls] == [UnavailableError] * 4
        assert bench.links[0].aborted
        assert asyncio.get_running_loop().timers() == 0  # type: ignore[attr-defined]
        assert bench.counts.queue_rows == 0

    run(main)


# -- stuck workers


def test_a_worker_stuck_past_every_deadline_is_reported_once() -> None:
    async def main() -> None:
        bench = Bench(workers=2, stuck_grace_s=5)
        calls = [bench.call(1, within=2), bench.call(2, within=4)]
        await settle()
        assert [type(await outcome(call)) for call in calls] == [DeadlineExceededError] * 2
        await asyncio.sleep(4.9)
        assert bench.stuck == []
        await asyncio.sleep(0.2)
        assert [worker for worker, _ in bench.stuck] == ["w0"]
        assert "double" in bench.stuck[0][1]
        await asyncio.sleep(1000)
        assert len(bench.stuck) == 1
        assert bench.dispatcher.in_flight == 1
        bench.links[0].die("killed")
        assert bench.dispatcher.in_flight == 0

    run(main)


def test_a_batch_without_deadline_is_never_stuck() -> None:
    async def main() -> None:
        bench = Bench()
        calls = [bench.call(1, within=2), bench.call(2)]
        await settle()
        await asyncio.sleep(10_000)
        assert bench.stuck == []
        bench.links[0].answer()
        assert isinstance(await outcome(calls[0]), DeadlineExceededError)
        assert await outcome(calls[1]) == [4]

    run(main)


# -- overload


def test_a_full_queue_refuses_early_with_retry_after() -> None:
    async def main() -> None:
        bench = Bench(max_queue_rows=4)
        calls = [bench.call(0)]
        await settle()
        calls += [bench.call(1, 1), bench.call(2, 2)]
        await settle()
        refused = await outcome(bench.call(3))
        assert isinstance(refused, OverloadedError)
        assert refused.retry_after_s > 0
        assert bench.counts.sheds == ["queue full"]
        while bench.links[0].holds:
            bench.links[0].answer()
        assert [await outcome(call) for call in calls] == [[0], [2, 2], [4, 4]]
        assert len(bench.links[0].sent) == 2, "the refused request reached the model"

    run(main)


def test_the_default_queue_is_sixteen_batches_a_worker() -> None:
    async def main() -> None:
        bench = Bench(workers=2, max_batch_size=2)
        calls = [bench.call(number) for number in range(4 + 64)]
        await settle()
        calls += [bench.call(number) for number in range(5)]
        await settle()
        assert bench.dispatcher.queue_rows == 64
        assert bench.counts.sheds == ["queue full"] * 5
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        assert bench.dispatcher.queue_rows == 0

    run(main)


def test_a_request_larger_than_the_queue_is_served_when_nobody_waits() -> None:
    async def main() -> None:
        bench = Bench(max_queue_rows=2)
        call = bench.call(*range(10))
        await settle()
        bench.links[0].answer()
        assert len(await outcome(call)) == 10

    run(main)


async def teach(bench: Bench, seconds: float, batches: int = 12) -> None:
    """Full batches that take that long."""
    for _ in range(batches):
        calls = [bench.call(number) for number in range(bench.dispatcher.spec.max_batch_size)]
        await settle()
        await asyncio.sleep(seconds)
        bench.links[0].answer()
        await asyncio.gather(*calls)


def test_what_would_take_longer_than_the_latency_limit_is_refused_on_arrival() -> None:
    async def main() -> None:
        bench = Bench(max_batch_size=4, max_latency_ms=3500)
        await teach(bench, 1.0)
        calls = [bench.call(number) for number in range(4)]
        await settle()
        calls += [bench.call(number) for number in range(12)]  # rows / 4 * 1 s + 1 s <= 3.5 s up to 10
        await settle()
        refused = [call for call in calls if call.done()]
        assert len(refused) == 2
        _, error = [await outcome(call) for call in refused]
        assert isinstance(error, OverloadedError)
        assert 3.5 < error.retry_after_s < 4
        assert bench.counts.sheds == ["latency"] * 2
        while bench.links[0].holds:
            bench.links[0].answer()
        await asyncio.gather(*(call for call in calls if call not in refused))

    run(main)


def test_what_would_miss_its_own_deadline_is_refused_on_arrival() -> None:
    async def main() -> None:
        bench = Bench(max_batch_size=4)
        await teach(bench, 1.0)
        calls = [bench.call(number) for number in range(4)]
        await settle()
        calls += [bench.call(number) for number in range(8)]
        await settle()
        assert isinstance(await outcome(bench.call(0, within=3)), OverloadedError)
        patient = bench.call(0, within=30)
        await settle()
        assert not patient.done()
        assert bench.counts.sheds == ["deadline"]
        while bench.links[0].holds:
            bench.links[0].answer()
        await asyncio.gather(patient, *calls)

    run(main)


def test_what_waited_past_the_latency_limit_is_shed_by_the_timer() -> None:
    async def main() -> None:
        bench = Bench(max_latency_ms=1000)
        first = bench.call(1)
        await settle()
        old = bench.call(2)
        await asyncio.sleep(0.9)
        young = bench.call(3)
        assert isinstance(await outcome(old), OverloadedError)
        bench.links[0].answer()
        bench.links[0].answer()
        assert [await outcome(first), await outcome(young)] == [[2], [6]]
        assert bench.counts.sheds == ["latency"]

    run(main)


def test_failures_do_not_touch_the_learned_times() -> None:
    async def main() -> None:
        bench = Bench(max_batch_size=4, max_latency_ms=10_000)
        for _ in range(20):
            call = bench.call(1)
            await settle()
            await asyncio.sleep(100)
            bench.links[0].fail()
            assert isinstance(await outcome(call), InferenceError)
        calls = [bench.call(number) for number in range(30)]
        await settle()
        assert bench.counts.sheds == []
        while bench.links[0].holds:
            bench.links[0].answer()
        await asyncio.gather(*calls)

    run(main)
