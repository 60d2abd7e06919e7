"""Weights and ragged rows in the dispatcher: what shares a batch, and that everybody gets their own."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import numpy as np
import pytest
from fake_links import Bench, FakeLink, settle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_time import run

from tiffin.errors import InferenceError, InvalidInputError, ResultMismatchError
from tiffin.runtime.batching.decision import Decision
from tiffin.runtime.batching.parcel import Parcel
from tiffin.runtime.manifest import MethodSpec, PaddingSpec

PADDED = MethodSpec(padding=PaddingSpec(value=-1, buckets=[4, 8, 16], unpad=True, lengths=True))
WEIGHED = MethodSpec(cost="length", max_cost=10)


def bench(spec: MethodSpec, **fields: Any) -> Bench:
    return Bench(methods={"f": spec}, **{"max_batch_size": 64, **fields})


def call(world: Bench, *lengths: int, form: str = "list") -> asyncio.Task[Any]:
    """Rows of these lengths; every element is its row's length."""
    rows = [np.full(length, length) for length in lengths]
    return world.start("f", (np.array(rows) if form == "array" else rows,), {})


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_buckets_never_mix_and_everybody_gets_their_own_rows(seed: int) -> None:
    chance = random.Random(seed)

    def look(_: FakeLink, parcel: Parcel) -> None:
        batch, lengths = parcel.args
        width = batch.shape[1]
        assert width in (4, 8, 16)
        assert len(batch) == len(lengths) == sum(parcel.counts) <= 6 or len(parcel.counts) == 1
        for row, length in zip(batch, lengths, strict=True):
            assert (row[:length] == length).all()
            assert (row[length:] == -1).all()
        at = 0
        for count in parcel.counts:  # a call lies in the bucket of its longest row
            longest = max(lengths[at : at + count], default=0)
            assert longest <= width
            assert width == 4 or longest > width / 2
            at += count

    async def main() -> None:
        world = bench(PADDED, workers=2, serve=look, max_batch_size=6, policy=None)
        calls = []
        for _ in range(30):
            form = chance.choice(["list", "array"])
            lengths = [chance.randint(0, 16)] * chance.randint(1, 3)
            if form == "list":
                lengths = [chance.randint(0, 16) for _ in lengths]
            calls.append((form, lengths, call(world, *lengths, form=form)))
            if chance.random() < 0.4:
                await settle()
            for link in world.links:
                if link.holds is not None and chance.random() < 0.5:
                    if chance.random() < 0.1:
                        link.fail()
                    else:
                        link.answer(link.holds.args[0] * 2)
        for _ in range(200):
            await asyncio.sleep(0.01)
            for link in world.links:
                if link.holds is not None:
                    link.answer(link.holds.args[0] * 2)
        for form, lengths, task in calls:
            if task.done() and task.exception():
                assert isinstance(task.exception(), InferenceError)
                continue
            result = await task
            assert isinstance(result, list) == (form == "list")
            assert [row.tolist() for row in result] == [[2 * length] * length for length in lengths]
        assert world.counts.queue_rows == 0

    run(main)


def test_a_row_that_is_too_long_fails_alone() -> None:
    async def main() -> None:
        world = bench(PADDED)
        good, bad = call(world, 3), call(world, 17)
        await settle()
        with pytest.raises(InvalidInputError, match=r"a row of length 17 is longer than toy\.f takes: 16"):
            await bad
        world.links[0].answer(world.links[0].sent[0].args[0])
        assert (await good)[0].tolist() == [3, 3, 3]

    run(main)


def test_a_bad_row_of_a_padded_batch_fails_alone() -> None:
    async def main() -> None:
        world = bench(PADDED)
        calls = [call(world, length) for length in (1, 2, 3, 4)]
        await settle()
        for _ in range(10):
            if (parcel := world.links[0].holds) is not None:
                if 3 in parcel.args[1]:
                    world.links[0].fail()
                else:
                    world.links[0].answer(parcel.args[0])
            await settle()
        with pytest.raises(InferenceError):
            await calls[2]
        assert [len((await calls[place])[0]) for place in (0, 1, 3)] == [1, 2, 4]

    run(main)


def test_requests_that_were_dropped_in_the_worker_leave_the_others_their_rows() -> None:
    async def main() -> None:
        world = bench(PADDED)
        calls = [call(world, length) for length in (1, 2, 3)]
        await settle()
        calls[1].cancel()
        await settle()
        batch = world.links[0].sent[0].args[0]
        world.links[0].answer(batch[[0, 2]], dropped=(1,))
        assert [(await calls[place])[0].tolist() for place in (0, 2)] == [[1], [3, 3, 3]]

    run(main)


def test_a_result_that_is_not_padded_fails_its_batch_loudly() -> None:
    async def main() -> None:
        world = bench(PADDED)
        calls = [call(world, 1), call(world, 2)]
        await settle()
        world.links[0].answer(np.zeros((2, 3)))
        for task in calls:
            with pytest.raises(ResultMismatchError, match=r"toy\.f: unpad cuts axis 1 .* has shape \(2, 3\)"):
                await task

    run(main)


def weights(world: Bench) -> list[list[int]]:
    """For each batch the rows of its calls."""
    return [parcel.counts for parcel in world.links[0].sent]


async def answer_all(world: Bench) -> None:
    while world.links[0].holds is not None:
        world.links[0].answer(list(world.links[0].holds.args[0]))
        await settle()


LOADS = ([4], [3, 3], [1], [40], [2, 2], [6], [1])


def test_a_batch_keeps_within_its_cost_and_a_heavy_call_goes_alone() -> None:
    async def main() -> None:
        world = bench(WEIGHED)
        first = call(world, 1)
        await settle()
        calls = [call(world, *lengths) for lengths in LOADS]
        await settle()
        await answer_all(world)
        sent = [[len(row) for row in parcel.args[0]] for parcel in world.links[0].sent[1:]]
        assert sent == [[4, 3, 3], [1], [40], [2, 2, 6], [1]]
        assert [parcel.weight for parcel in world.links[0].sent] == [1, 10, 1, 40, 10, 1]
        await asyncio.gather(first, *calls)
        # Queues and metrics count rows, whatever they weigh.
        assert [rows for _, rows, _ in world.counts.batches] == [1, 3, 1, 1, 3, 1]

    run(main)


def test_the_learned_policy_counts_the_cost() -> None:
    async def main() -> None:
        world = bench(WEIGHED, policy=None)
        calls = [call(world, *lengths) for lengths in LOADS * 5]
        await settle()
        await answer_all(world)
        for parcel in world.links[0].sent:
            assert parcel.weight == sum(len(row) for row in parcel.args[0])
            assert parcel.weight <= 10 or len(parcel.counts) == 1
        await asyncio.gather(*calls)
        explained = world.dispatcher.explain()["methods"]["f"]
        assert (explained["unit"], explained["max_rows"]) == ("length", 10)
        assert {round(size["rows"]) for size in explained["service_s"]} >= {10, 40}

    run(main)


def test_rows_are_limited_as_well() -> None:
    async def main() -> None:
        world = bench(WEIGHED, max_batch_size=3, policy=None)  # which knows of the cost only
        first = call(world, 1)
        await settle()
        calls = [call(world, *lengths) for lengths in ([1], [1], [1], [1, 1], [1, 1], [1] * 5)]
        await settle()
        await answer_all(world)
        assert weights(world)[1:] == [[1, 1, 1], [2], [2], [5]]
        await asyncio.gather(first, *calls)

    run(main)


class Patient:
    """A policy that waits for a full batch, and counts what waits."""

    workers = 1
    cap = 64

    def __init__(self, _: MethodSpec) -> None:
        self.waiting = 0
        self.completed: list[int] = []

    def on_arrival(self, now: float, rows: int) -> bool:
        self.waiting += rows
        return True

    def on_cancel(self, now: float, rows: int) -> None:
        self.waiting -= rows

    def on_complete(self, now: float, rows: int, service_s: float) -> None:
        self.completed.append(rows)

    def decide(self, now: float, queue: Any, idle: int) -> Decision:
        if idle and queue.rows >= 10:
            self.waiting -= queue.rows
            return Decision(len(queue), reason="full")
        return Decision(wake_at=now + 100)

    def wait_s(self, rows: int) -> float:
        return 0.0

    def explain(self) -> dict[str, Any]:
        return {}


def test_a_batch_that_is_full_of_light_rows_does_not_wait_for_more_weight() -> None:
    made: list[Patient] = []

    def make(spec: MethodSpec) -> Any:
        made.append(Patient(spec))
        return made[0]

    async def main() -> None:
        world = bench(WEIGHED, max_batch_size=3, policy=make)
        calls = [call(world, 1), call(world, 2)]
        await settle()
        assert weights(world) == []
        calls.append(call(world, 1))
        await settle()
        assert weights(world) == [[1, 1, 1]]
        assert made[0].waiting == 0
        await answer_all(world)
        await asyncio.gather(*calls)
        assert world.counts.batches == [("f", 3, "full")]
        assert made[0].completed == [4]

    run(main)


def test_what_padding_adds_is_weighed() -> None:
    async def main() -> None:
        spec = MethodSpec(cost="length", max_cost=16, padding=PaddingSpec(value=0, buckets=[4, 8]))
        world = bench(spec)
        calls = [
            call(world, 1),
            call(world, 1),
            call(world, 1),
            call(world, 1),
            call(world, 1),
            call(world, 5, 1),
        ]
        await settle()
        while world.links[0].holds is not None:
            world.links[0].answer(world.links[0].holds.args[0])
            await settle()
        assert [parcel.args[0].shape for parcel in world.links[0].sent] == [(4, 4), (1, 4), (2, 8)]
        await asyncio.gather(*calls)

    run(main)


def test_a_cost_function_that_raises_fails_its_own_call_only() -> None:
    def cost(rows: list[Any], *, times: int = 1) -> int:
        if len(rows[0]) == 3:
            raise ValueError("three")
        return times * len(rows[0])

    async def main() -> None:
        world = bench(MethodSpec(cost="toy:cost", max_cost=10), costs={"f": cost})
        calls = [call(world, length) for length in (2, 3, 4)]
        await settle()
        with pytest.raises(InferenceError, match=r"cost= of toy\.f failed: ValueError: three"):
            await calls[1]
        assert world.links[0].sent[0].weight == 6
        await answer_all(world)
        assert [len((await calls[place])[0]) for place in (0, 2)] == [2, 4]
        heavy = world.start("f", ([np.zeros(2)],), {"times": 9})
        await settle()
        assert world.links[0].sent[1].weight == 18
        await answer_all(world)
        await heavy

    run(main)
