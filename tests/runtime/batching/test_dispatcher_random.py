"""Anything at any time: every caller gets exactly one answer and it is the right one.

hypothesis draws a history of arrivals, disconnects, answers, exceptions, crashes and new workers; a row
carries its number, so an answer that went to a neighbour shows. Time is virtual.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import numpy as np
from fake_links import Bench, FakeLink, settle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_time import run

from tiffin.errors import DeadlineExceededError, InferenceError, OverloadedError, PoisonRequestError
from tiffin.runtime.batching.parcel import Parcel

GUILTY = 0.5
"""Added to the row of a request whose rows make the method raise."""
DEADLY = 0.25
"""Added to the row of a request whose rows end the worker."""


class Caller:
    def __init__(self, number: int, rows: np.ndarray, within: float | None, task: asyncio.Task[Any]) -> None:
        self.number, self.rows, self.within, self.task = number, rows, within, task
        self.cancelled_at: float | None = None


class World:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        learned = {"policy": None} if self.chance.random() < 0.5 else {}
        self.bench = Bench(workers=0, max_batch_size=self.chance.choice([1, 4, 8, 64]), **learned)
        self.links: list[FakeLink] = []
        self.wrong: list[str] = []
        self.callers: list[Caller] = []
        self.by_row: dict[float, Caller] = {}
        self.hired = 0
        self.accidents = 0
        for _ in range(self.chance.randint(0, 3)):
            self.hire()

    def look(self, parcel: Parcel) -> None:
        """At every batch, at the moment it is sent."""
        for caller in {self.by_row[float(row)] for row in parcel.args[0][:, 0]}:
            if caller.cancelled_at is not None:
                self.wrong.append(f"{caller.number} was sent after it had gone")
            if caller.task.done():
                self.wrong.append(f"{caller.number} was sent after its answer")
        if sum(parcel.counts) > self.bench.dispatcher.spec.max_batch_size and len(parcel.counts) > 1:
            self.wrong.append(f"{parcel.counts} rows in one batch")

    def arrive(self) -> None:
        number = len(self.callers)
        count = self.chance.choice([0, 1, 1, 1, 2, 5])
        trouble = self.chance.choices([0.0, GUILTY, DEADLY], [85, 10, 5])[0]
        rows = np.array([[number * 10 + place + trouble] for place in range(count)], float).reshape(-1, 1)
        if self.chance.random() < 0.2:
            rows = rows.repeat(2, axis=1)  # another lane
        within = self.chance.choice([None, 0.5, 3.0, 50.0])
        task = self.bench.start("double", (rows,), {}, within)
        caller = Caller(number, rows, within, task)
        self.callers.append(caller)
        for row in rows[:, 0]:
            self.by_row[float(row)] = caller

    def disconnect(self) -> None:
        waiting = [
            caller for caller in self.callers if not caller.task.done() and caller.cancelled_at is None
        ]
        if waiting:
            caller = self.chance.choice(waiting)
            caller.task.cancel()
            caller.cancelled_at = self.bench.now()

    def answer(self) -> None:
        busy = [link for link in self.links if link.holds]
        if not busy:
            return
        link = self.chance.choice(busy)
        parcel = link.holds
        assert parcel is not None
        if parcel.alone:
            self.bench.dispatcher.on_begin(link, parcel.batch)
        values = parcel.args[0]
        kinds = {round(float(row % 1), 2) for row in values[:, 0]}
        if DEADLY in kinds:
            self.crash(link)
        elif GUILTY in kinds:
            link.fail()
        else:
            link.answer()

    def crash(self, link: FakeLink) -> None:
        link.die()
        self.links.remove(link)

    def accident(self) -> None:
        """A worker ends by no fault of what it runs."""
        if self.links and self.accidents < 2:
            self.accidents += 1
            self.crash(self.chance.choice(self.links))

    def hire(self) -> None:
        if len(self.links) < 3:
            self.hired += 1
            self.links.append(self.bench.hire(f"w{self.hired}", look=self.look))

    async def live(self, steps: int) -> None:
        deeds = [self.arrive, self.disconnect, self.answer, self.accident, self.hire]
        for _ in range(steps):
            self.chance.choices(deeds, [50, 8, 30, 1, 5])[0]()
            if self.chance.random() < 0.6:
                await settle()
            if self.chance.random() < 0.3:
                await asyncio.sleep(self.chance.choice([0.01, 0.2, 1]))

    async def finish(self) -> None:
        for _ in range(50 * len(self.callers) + 50):
            await settle()
            if all(caller.task.done() for caller in self.callers) and not self.bench.dispatcher.in_flight:
                return
            self.hire()
            await asyncio.sleep(0.01)  # what is held back goes
            self.answer()
        raise AssertionError("somebody was never answered")

    def check(self) -> None:
        assert self.wrong == []
        for caller in self.callers:
            assert caller.task.done()
            if caller.task.cancelled():
                assert caller.cancelled_at is not None
                continue
            error = caller.task.exception()
            if error is None:
                assert caller.task.result().tolist() == (caller.rows * 2).tolist(), "a neighbour's answer"
                assert not caller.rows.size or caller.rows[0, 0] % 1 == 0
            elif isinstance(error, InferenceError):
                assert caller.rows[0, 0] % 1 == GUILTY, "an innocent was blamed"
            elif isinstance(error, PoisonRequestError):
                # An accident may hit a suspect while it runs: it looks guilty then.
                assert caller.rows[0, 0] % 1 == DEADLY or self.accidents
            elif isinstance(error, DeadlineExceededError):
                assert caller.within is not None
            else:
                assert isinstance(error, OverloadedError)
        dispatcher = self.bench.dispatcher
        assert (dispatcher.queue_rows, dispatcher.in_flight, self.bench.counts.queue_rows) == (0, 0, 0)
        assert dispatcher.workers == len(dispatcher._crew.idle) == len(self.links), "a slot leaked"
        assert dispatcher._methods["double"].policy._waiting == 0  # type: ignore[attr-defined]
        assert not dispatcher._room
        assert not dispatcher._room.fresh


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1), st.integers(20, 150))
def test_every_request_is_answered_once_with_its_own_result(seed: int, steps: int) -> None:
    async def main() -> None:
        world = World(seed)
        await world.live(steps)
        await world.finish()
        world.check()
        assert asyncio.get_running_loop().timers() == 0  # type: ignore[attr-defined]

    run(main)
