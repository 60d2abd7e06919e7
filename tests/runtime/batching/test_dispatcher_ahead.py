"""A full batch is sent to a worker shortly before it ends the one before."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import numpy as np
import pytest
from fake_links import Bench, FakeLink, settle
from virtual_time import run

from tiffin.errors import DeadlineExceededError, InferenceError, UnavailableError
from tiffin.runtime.batching.sending import AHEAD_S

SERVICE_S = 0.1
CAP = 4


async def taught(workers: int = 1, service_s: float = SERVICE_S, **fields: Any) -> Bench:
    """Every full batch takes that long, and it knows."""
    bench = Bench(workers=workers, max_batch_size=CAP, **fields)
    for _ in range(9 + workers):
        calls = [bench.call(number) for number in range(CAP)]
        await settle()
        await asyncio.sleep(service_s)
        (link,) = [link for link in bench.links if link.held]
        link.answer()
        await asyncio.gather(*calls)
    for link in bench.links:
        link.sent.clear()
    return bench


def rows(link: FakeLink) -> list[list[float]]:
    """Of each batch that it was sent."""
    return [parcel.args[0].ravel().tolist() for parcel in link.sent]


async def until(bench: Bench, at: float) -> None:
    await asyncio.sleep(at - bench.now())
    await settle()


def last(bench: Bench) -> dict[str, Any]:
    told: dict[str, Any] = bench.dispatcher.explain()["methods"]["double"]["last_batches"][-1]
    return told


async def two_batches(bench: Bench, **options: Any) -> tuple[list[asyncio.Task[Any]], float]:
    """One runs and the next was sent ahead; (their calls, when the first began)."""
    began = bench.now()
    calls = [bench.call(number, **options) for number in range(2 * CAP)]
    await until(bench, began + SERVICE_S - AHEAD_S / 2)
    assert rows(bench.links[0]) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    return calls, began


def test_a_full_batch_is_there_when_its_worker_ends_the_one_before() -> None:
    async def main() -> None:
        bench = await taught()
        began, (link,) = bench.now(), bench.links
        calls = [bench.call(number) for number in range(2 * CAP)]
        await until(bench, began + SERVICE_S - AHEAD_S - 0.002)
        assert rows(link) == [[0, 1, 2, 3]], "as late as possible"
        await until(bench, began + SERVICE_S - AHEAD_S + 0.002)
        assert rows(link) == [[0, 1, 2, 3], [4, 5, 6, 7]]
        assert (bench.dispatcher.queue_rows, bench.dispatcher.in_flight) == (0, 1)
        told = json.loads(json.dumps(bench.dispatcher.explain()))
        assert [batch["reason"] for batch in told["running"]] == ["full"]
        assert [(batch["reason"], batch["rows"]) for batch in told["ahead"]] == [("ahead", 4)]
        bench.counts.waits.clear()
        await until(bench, began + SERVICE_S)
        link.answer()
        await asyncio.sleep(SERVICE_S)
        assert bench.dispatcher.explain()["ahead"] == []
        link.answer()
        assert [result.tolist() for result in await asyncio.gather(*calls)] == [[[2 * n]] for n in range(8)]
        # It waited until the worker could begin it, and took from then on.
        assert bench.counts.waits == pytest.approx([SERVICE_S] * CAP)
        assert (last(bench)["waited_s"], last(bench)["service_s"]) == pytest.approx((SERVICE_S, SERVICE_S))
        assert bench.counts.batches[-2:] == [("double", 4, "full"), ("double", 4, "ahead")]
        assert asyncio.get_running_loop().timers() == 0  # type: ignore[attr-defined]

    run(main)


def test_a_batch_that_fills_up_late_is_sent_ahead_at_once() -> None:
    async def main() -> None:
        bench = await taught()
        began = bench.now()
        calls = [bench.call(number) for number in range(CAP + 3)]
        await until(bench, began + SERVICE_S - 0.001)
        assert len(bench.links[0].sent) == 1, "it could still grow"
        calls.append(bench.call(7))
        await settle()
        assert rows(bench.links[0]) == [[0, 1, 2, 3], [4, 5, 6, 7]]
        bench.links[0].answer()
        bench.links[0].answer()
        await asyncio.gather(*calls)

    run(main)


def test_a_worker_never_holds_a_third_batch() -> None:
    async def main() -> None:
        quick = await taught(service_s=AHEAD_S / 2)
        calls = [quick.call(number) for number in range(5 * CAP)]
        for number in range(5):
            await settle()
            assert len(quick.links[0].sent) == min(number + 2, 5)
            quick.links[0].answer()
        await asyncio.gather(*calls)
        bench = await taught()
        began = bench.now()
        calls = [bench.call(number) for number in range(5 * CAP)]
        for number in range(1, 5):
            await until(bench, began + number * SERVICE_S - AHEAD_S / 2)
            calls.append(bench.call(99))
            await settle()
            assert len(bench.links[0].sent) == number + 1
            await until(bench, began + number * SERVICE_S)
            bench.links[0].answer()
        while bench.links[0].held:
            bench.links[0].answer()
        await asyncio.gather(*calls)

    run(main)


@pytest.mark.parametrize(
    "why", ["unknown", "not full", "not repeatable", "leaving", "suspect", "late", "older"]
)
def test_nothing_goes_ahead(why: str) -> None:
    async def main() -> None:
        bench = Bench(max_batch_size=CAP) if why == "unknown" else await taught(retry=why != "not repeatable")
        (link,) = bench.links
        if why == "suspect":
            calls = [bench.call(50)]
            await settle()
            link.die()
            link = bench.hire("new")
            await settle()
            assert link.holds is not None
            assert link.holds.alone
        else:
            calls = [bench.call(number) for number in range(CAP)]
        await settle()
        if why == "leaving":
            bench.dispatcher.retire_worker(link)
        if why == "older":
            calls.append(bench.call(1, 1, scale=2))
            await settle()
        if why == "late":  # it should have answered long ago: who knows whether it ever will
            await asyncio.sleep(2 * SERVICE_S)
        calls += [bench.call(10 + number) for number in range(CAP - (why == "not full"))]
        await asyncio.sleep(SERVICE_S - AHEAD_S / 2)
        await settle()
        assert len(link.held) == 1
        link.answer()
        if why == "leaving":
            assert link.finished
            link = bench.hire("next")
        await settle()
        while link.held:
            link.answer()
            await settle()
        await asyncio.gather(*calls)

    run(main)


def test_it_goes_to_the_worker_that_ends_first() -> None:
    async def main() -> None:
        bench = await taught(workers=2)
        first, second = bench.links
        began = bench.now()
        calls = [bench.call(number) for number in range(CAP)]
        await until(bench, began + 0.04)
        (early,) = [link for link in bench.links if link.held]
        other = second if early is first else first
        calls += [bench.call(number) for number in range(CAP, 4 * CAP)]
        await until(bench, began + SERVICE_S - AHEAD_S / 2)
        assert [len(early.held), len(other.held)] == [2, 1]
        assert rows(early)[1] == [8, 9, 10, 11]
        await until(bench, began + SERVICE_S + 0.03)  # the first is late, the other will be idle sooner
        assert [len(early.held), len(other.held)] == [2, 1]
        await until(bench, began + 0.04 + SERVICE_S - AHEAD_S / 2)
        assert [len(early.held), len(other.held)] == [2, 2]
        for link in bench.links:
            link.answer()
            link.answer()
        await asyncio.gather(*calls)

    run(main)


@pytest.mark.parametrize("end", ["answered", "too late", "failed", "killed", "stuck"])
def test_it_is_taken_back_from_a_worker_that_may_never_begin_it(end: str) -> None:
    async def main() -> None:
        bench = await taught(workers=2, stuck_grace_s=5)
        began = bench.now()
        calls = [bench.call(number, within=30) for number in range(CAP)]
        await until(bench, began + 0.01)
        (hangs,) = [link for link in bench.links if link.held]
        (other,) = [link for link in bench.links if not link.held]
        calls += [bench.call(number) for number in range(CAP, 3 * CAP)]
        await until(bench, began + 0.11)
        assert rows(hangs) == [[0, 1, 2, 3], [8, 9, 10, 11]]
        other.answer()
        await until(bench, began + 2 * SERVICE_S - 0.002)
        assert not other.held
        await until(bench, began + 2 * SERVICE_S + 0.002)
        assert rows(other)[1:] == [[8, 9, 10, 11]], "the worker that hangs was left with it"
        ahead = hangs.held[1].batch
        assert hangs.cancelled == [(ahead, [0, 1, 2, 3])]
        told = bench.dispatcher.explain()
        assert (len(told["running"]), told["ahead"]) == (2, [])
        calls.append(bench.call(12))
        await settle()
        other.answer()
        other.answer()
        assert len(hangs.cancelled) == 1
        if end == "stuck":
            hangs.answer()  # and then it runs what was taken back, after all, and for ever
            await asyncio.sleep(4.9)
            assert bench.stuck == []
            await asyncio.sleep(0.2)
            assert [worker for worker, _ in bench.stuck] == [hangs.id]
        elif end == "killed":
            hangs.die()
            while other.held:
                other.answer()
        else:
            hangs.answer()
            if end == "failed":
                hangs.fail()
            else:
                hangs.answer(None if end == "answered" else np.ones((CAP, 1)))
            assert bench.dispatcher.in_flight == 0
            calls.append(bench.call(13))
            await settle()
            for link in bench.links:
                if link.held:
                    link.answer()
        results = await asyncio.gather(*calls)
        assert [result.tolist() for result in results] == [[[2 * n]] for n in range(len(calls))]
        assert ("double", 0, "ahead") not in bench.counts.batches

    run(main)


def test_one_worker_alone_keeps_what_was_sent_ahead() -> None:
    async def main() -> None:
        bench = await taught()
        calls, _ = await two_batches(bench)
        await asyncio.sleep(10 * SERVICE_S)
        calls.append(bench.call(8))
        await asyncio.sleep(10 * SERVICE_S)
        assert bench.links[0].cancelled == []
        while bench.links[0].held:
            bench.links[0].answer()
        await asyncio.gather(*calls)

    run(main)


# -- rows that nobody waits for any more


def test_rows_that_were_sent_ahead_and_cancelled_are_not_run_and_teach_nothing() -> None:
    async def main() -> None:
        bench = await taught()
        calls, _ = await two_batches(bench)
        before = bench.dispatcher.explain()["methods"]["double"]["batches"]
        for call in calls[CAP:]:
            call.cancel()
        await settle()
        ahead = bench.links[0].sent[1].batch
        assert bench.links[0].cancelled == [(ahead, [place]) for place in range(CAP)]
        bench.links[0].answer()
        bench.links[0].answer(np.zeros((0, 1)), dropped=(0, 1, 2, 3))
        await asyncio.gather(*calls[:CAP])
        assert bench.dispatcher.explain()["methods"]["double"]["batches"] == before + 1

    run(main)


def test_a_deadline_of_a_row_that_was_sent_ahead_is_kept() -> None:
    async def main() -> None:
        bench = await taught()
        calls, _ = await two_batches(bench, within=0.35)
        await asyncio.sleep(0.3)
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {DeadlineExceededError}
        ahead = bench.links[0].sent[1].batch
        assert bench.links[0].cancelled[-1] == (ahead, [0, 1, 2, 3])
        bench.links[0].answer(np.zeros((4, 1)))
        bench.links[0].answer(np.zeros((0, 1)), dropped=(0, 1, 2, 3))
        assert bench.dispatcher.in_flight == 0

    run(main)


def test_a_worker_is_stuck_with_what_was_sent_ahead_from_its_beginning_only() -> None:
    async def main() -> None:
        bench = await taught(stuck_grace_s=5)
        began = bench.now()
        calls = [bench.call(number) for number in range(CAP)]
        calls += [bench.call(CAP + number, within=0.35) for number in range(CAP)]
        await until(bench, began + SERVICE_S - AHEAD_S / 2)
        assert len(bench.links[0].held) == 2
        await asyncio.sleep(60)  # the first has no deadline: the worker may take its time
        assert bench.stuck == []
        bench.links[0].answer()
        await asyncio.sleep(4.9)
        assert bench.stuck == []
        await asyncio.sleep(0.2)
        assert [worker for worker, _ in bench.stuck] == ["w0"]
        await asyncio.gather(*calls, return_exceptions=True)

    run(main)


# -- workers that end, methods that raise


def test_a_batch_that_was_sent_ahead_is_not_guilty_of_a_crash() -> None:
    async def main() -> None:
        bench = await taught()
        calls, _ = await two_batches(bench)
        (link,) = bench.links
        for number in range(3):  # worker after worker ends before it begins what was sent ahead
            link.die()
            link = bench.hire(f"new{number}")
            await settle()
            assert link.sent[0].args[0].ravel().tolist() == [4, 5, 6, 7], "ahead of the suspects, together"
            assert not link.sent[0].alone
            if number == 0:
                link.answer()
                assert link.sent[1].alone
                bench.dispatcher.on_begin(link, link.sent[1].batch)
                break
        while link.held:
            link.answer()
        assert [result.tolist() for result in await asyncio.gather(*calls)] == [[[2 * n]] for n in range(8)]

    run(main)


def test_it_is_guilty_once_it_has_begun() -> None:
    async def main() -> None:
        bench = await taught()
        calls, _ = await two_batches(bench)
        (link,) = bench.links
        link.answer()
        link.die()
        link = bench.hire("new")
        await settle()
        while link.held:
            link.answer()
        assert [(parcel.args[0].ravel().tolist(), parcel.alone) for parcel in link.sent] == [
            ([4], True),
            ([5], True),
            ([6], True),
            ([7], True),
        ]
        await asyncio.gather(*calls)

    run(main)


def test_when_the_first_raises_the_next_runs_and_then_its_halves() -> None:
    async def main() -> None:
        bench = await taught()
        calls, _ = await two_batches(bench)
        (link,) = bench.links
        waits = len(bench.counts.waits)
        link.fail()
        link.answer()
        link.answer()
        link.fail()
        link.answer()
        link.fail()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [
            np.ndarray,
            np.ndarray,
            np.ndarray,
            InferenceError,
            *[np.ndarray] * 4,
        ]
        assert rows(link)[2:] == [[0, 1], [2, 3], [2], [3]]
        assert len(bench.counts.waits) == waits + sum(len(batch) for batch in rows(link)[1:])

    run(main)


def test_what_the_worker_could_not_even_read_fails_before_the_one_in_front() -> None:
    async def main() -> None:
        bench = await taught(max_queue_rows=100)
        calls, _ = await two_batches(bench)
        (link,) = bench.links
        link.held.reverse()
        link.fail("MemoryError")
        assert [parcel.batch for parcel in link.held] == [link.sent[0].batch]
        link.answer()
        while link.held:
            link.answer()
        assert [result.tolist() for result in await asyncio.gather(*calls)] == [[[2 * n]] for n in range(8)]

    run(main)


def test_rows_that_cannot_be_sent_ahead_fail_by_themselves(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)

    async def main() -> None:
        bench = await taught()
        began = bench.now()
        good = [bench.call(number) for number in range(CAP)]
        bad = [bench.start("double", ([object()],), {}) for _ in range(CAP)]
        await until(bench, began + SERVICE_S)
        assert len(bench.links[0].held) == 1
        bench.links[0].answer()
        await asyncio.gather(*good)
        assert all(isinstance(told, Exception) for told in await asyncio.gather(*bad, return_exceptions=True))
        assert bench.dispatcher.in_flight == 0

    run(main)


def test_answers_that_come_together_teach_the_time_of_the_model() -> None:
    async def main() -> None:
        bench = await taught()
        calls, _ = await two_batches(bench)
        await asyncio.sleep(2 * SERVICE_S)  # this process was busy elsewhere
        bench.links[0].answer(model_s=SERVICE_S)
        bench.links[0].answer(model_s=SERVICE_S)
        await asyncio.gather(*calls)
        assert last(bench)["service_s"] == pytest.approx(SERVICE_S)

    run(main)


def test_close_answers_what_was_sent_ahead() -> None:
    async def main() -> None:
        bench = await taught()
        calls, _ = await two_batches(bench)
        bench.dispatcher.close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {UnavailableError}
        assert asyncio.get_running_loop().timers() == 0  # type: ignore[attr-defined]

    run(main)
