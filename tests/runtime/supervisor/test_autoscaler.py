"""The autoscaler against simulated servers: what it sees is what counters would show, second by second."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from tiffin.runtime.supervisor.autoscaler import FAILED_S, QUIET_S, Autoscaler, Decision
from tiffin.runtime.supervisor.load import Load, Sample

STEP_S = 0.1
Rate = Callable[[float], float]


@dataclass
class Site:
    """Workers that batch naturally, as a fluid: each free worker takes all that waits, up to the cap.

    A batch of n rows takes `fixed_s + n * row_s`. A worker needs `start_s` until it is warm. `cores` workers
    run at full speed; more share them.
    """

    autoscaler: Autoscaler
    fixed_s: float = 0.010
    row_s: float = 0.0001
    cap: int = 64
    start_s: float = 4.0
    cores: int = 64
    queue_s: float = 2.0
    """Rows that would wait longer are refused."""
    now: float = 0.0
    waiting: float = 0.0
    decisions: list[tuple[float, Decision]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.warm = self.autoscaler.workers
        self.starting: list[float] = []
        self.calls = self.waited_s = self.batches = self.rows = self.room = self.busy_s = self.refused = 0.0

    def run(self, seconds: float, rate: Rate | float) -> None:
        """Open loop: `rate` rows a second, evenly spread."""
        for step in range(int(seconds / STEP_S)):
            self.now += STEP_S
            self._step(rate if isinstance(rate, (int, float)) else rate(self.now))
            if step % int(1 / STEP_S) == int(1 / STEP_S) - 1:
                self._sample()

    def batch_s(self, rows: float) -> float:
        return (self.fixed_s + rows * self.row_s) * max(1.0, self.warm / self.cores)

    def _step(self, rate: float) -> None:
        self.warm += sum(at <= self.now for at in self.starting)
        self.starting = [at for at in self.starting if at > self.now]
        capacity = self.warm * self.cap / self.batch_s(self.cap)
        self.waiting += rate * STEP_S
        served = min(self.waiting, capacity * STEP_S)
        self.waiting -= served
        late = self.waiting / capacity
        if self.waiting:
            rows = float(self.cap)
        else:  # a batch takes what came during the one before it
            each = rate / self.warm
            slow = self.batch_s(1) - self.batch_s(0)
            rows = min(self.cap, max(1.0, each * self.batch_s(0) / max(1e-9, 1 - each * slow)))
        batches = served / rows
        self.calls += served
        self.waited_s += served * (late + self.batch_s(rows) / 2)
        self.batches += batches
        self.rows += served
        self.room += batches * self.cap
        self.busy_s += batches * self.batch_s(rows)
        too_many = max(0.0, (late - self.queue_s) * capacity)
        self.refused += too_many
        self.waiting -= too_many

    def _sample(self) -> None:
        decision = self.autoscaler.decide(
            Sample(
                at=self.now,
                workers=self.warm,
                waiting=self.waiting,
                calls=self.calls,
                waited_s=self.waited_s,
                batches=self.batches,
                rows=self.rows,
                room=self.room,
                busy_s=self.busy_s,
                refused=self.refused,
            )
        )
        if decision is None:
            return
        self.decisions.append((self.now, decision))
        more = decision.workers - self.warm
        self.starting += [self.now + self.start_s] * more
        self.warm = min(self.warm, decision.workers)

    @property
    def numbers(self) -> list[int]:
        return [decision.workers for _, decision in self.decisions]

    @property
    def turns(self) -> int:
        """How often the number began to go the other way."""
        ways = [b - a for a, b in zip([self.autoscaler.least, *self.numbers], self.numbers, strict=False)]
        return sum(a * b < 0 for a, b in pairwise(ways))


ONE = 64 / (0.010 + 64 * 0.0001)
"""Rows a second that one worker of the site can do: 3,902."""


def site(most: int = 8, **fields: float) -> Site:
    return Site(Autoscaler(1, most, workers=1, cap=int(fields.get("cap", 64))), **fields)  # type: ignore[arg-type]


def test_nothing_to_do() -> None:
    place = site()
    place.run(300, 0)
    assert place.decisions == []


def test_a_load_that_one_worker_carries_keeps_one() -> None:
    place = site()
    place.run(120, 0.7 * ONE)
    assert place.decisions == []


def test_a_busy_worker_with_small_batches_is_no_reason() -> None:
    place = site()
    place.run(120, 0.3 * ONE)  # always busy: a batch of 15 rows is ready whenever the one before it ends
    assert place.busy_s > 100
    assert place.decisions == []


def test_a_spike_is_met_within_seconds_though_a_worker_starts_slowly() -> None:
    place = site(start_s=8.0)
    place.run(30, 0.2 * ONE)
    place.run(60, 5 * ONE)
    first, decision = place.decisions[0]
    assert first <= 30 + 6
    assert decision.reason in {"refused", "late"}
    assert place.warm >= 5
    assert place.warm == 8 or place.autoscaler.workers == place.warm
    refused = place.refused
    place.run(30, 5 * ONE)
    assert place.refused == refused, "now it keeps up"


def test_while_workers_start_no_more_are_called() -> None:
    place = site(start_s=20.0)
    place.run(22, 4 * ONE)
    assert place.numbers == [2]


def test_a_ramp_is_followed_up_and_down() -> None:
    place = site()
    place.run(240, lambda now: ONE * (0.2 + 4 * now / 240))
    assert place.warm in {5, 6, 7, 8}
    place.run(1200, lambda now: ONE * max(0.1, 4.2 - 4 * (now - 240) / 240))
    assert place.warm == 1
    assert place.turns == 1
    assert place.refused == 0


def test_shrinking_leaves_what_the_load_needs() -> None:
    place = site()
    place.run(60, 5 * ONE)
    place.run(600, 1.5 * ONE)
    assert place.warm in {3, 4}
    assert place.turns == 1


def test_shrinking_waits_for_a_quiet_time_and_halves_at_most() -> None:
    place = site()
    place.run(60, 6 * ONE)
    peak, ended = place.warm, place.now
    assert peak >= 7
    place.run(QUIET_S - 5, 0)
    assert place.warm == peak
    place.run(400, 0)
    downs = [(at, decision) for at, decision in place.decisions if decision.reason == "quiet"]
    assert downs[0][0] >= ended + QUIET_S
    sizes = [peak, *(decision.workers for _, decision in downs)]
    assert sizes[-1] == 1
    assert all(after >= before / 2 for before, after in pairwise(sizes))


def test_never_below_the_least_nor_above_the_most() -> None:
    place = Site(Autoscaler(2, 3, workers=2, cap=64))
    place.run(60, 20 * ONE)
    assert place.warm == 3
    place.run(600, 0)
    assert place.warm == 2


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_make_it_swing(seed: int) -> None:
    """A mean load of 1.6 workers, each second somewhere between nothing and the double of it."""
    chance = random.Random(seed)
    place = site()
    levels = [chance.uniform(0, 3.2) for _ in range(1800)]
    place.run(1800, lambda now: ONE * levels[min(1799, int(now))])
    assert place.turns <= 2, place.decisions
    assert len(place.decisions) <= 7


@pytest.mark.parametrize("every", [20, 45, 90, 130])
def test_bursts_that_return_end_in_a_number_that_stays(every: int) -> None:
    place = site()
    place.run(3600, lambda now: ONE * (3 if now % every < 10 else 0.1))
    late = [decision for at, decision in place.decisions if at > 2400]
    assert len(late) <= 2, place.decisions


def test_one_hiccup_is_no_reason() -> None:
    place = site()
    place.run(30, 0.5 * ONE)
    place.waiting += 0.8 * ONE  # something took 0.8 s
    place.run(60, 0.5 * ONE)
    assert len(place.decisions) <= 1
    place.run(300, 0.5 * ONE)
    assert place.warm == 1


def test_more_workers_than_cores_bring_nothing_and_it_stops_there() -> None:
    place = site(most=16, cores=2)
    place.run(100, 10 * ONE)
    assert place.warm <= 4
    grown = [decision for _, decision in place.decisions if decision.reason != "quiet"]
    assert len(grown) <= 2


def test_a_model_without_batches() -> None:
    place = site(cap=1, fixed_s=0.02, row_s=0.0)
    place.run(60, 170)  # 3.4 workers' work, one call at a time
    assert 4 <= place.warm <= 8
    place.run(600, 10)
    assert place.warm == 1


def test_after_one_did_not_start_no_more_are_called_for_a_while() -> None:
    place = site()
    place.run(20, 4 * ONE)
    assert place.autoscaler.workers > 1
    called = len(place.decisions)
    place.autoscaler.give_up(1, place.now)
    place.warm, place.starting = 1, []
    place.run(FAILED_S - 1, 4 * ONE)
    assert len(place.decisions) == called
    place.run(10, 4 * ONE)
    assert len(place.decisions) > called


def test_batches_longer_than_the_window() -> None:
    """Nothing is ever seen to end between two looks; that a whole batch waits is all there is to see."""
    scaler = Autoscaler(1, 4, workers=1, cap=8)
    found = [scaler.decide(sample) for sample in samples(range(10), waiting=7.0)]
    assert found == [None] * 10
    found = [scaler.decide(sample) for sample in samples(range(10, 20), waiting=8.0)]
    assert [(one.workers, one.reason) for one in found if one is not None] == [(2, "late")]


def test_a_model_that_became_slow_is_measured_anew() -> None:
    """Twice as slow as when its best was seen: what was enough is not any more, once."""
    place = site()
    place.run(60, 4 * ONE)
    place.run(400, 1.5 * ONE)
    place.fixed_s, place.row_s = 0.020, 0.0002
    place.run(1200, 1.5 * ONE)
    assert place.warm >= 4
    assert place.turns <= 3


def samples(times: Iterable[float], **more: float) -> list[Sample]:
    zero = dict.fromkeys(["calls", "waited_s", "batches", "rows", "room", "busy_s", "refused"], 0.0)
    return [Sample(**{"at": at, "workers": 1, "waiting": 0.0, **zero, **more}) for at in times]  # type: ignore[arg-type]


def test_the_load_between_two_samples() -> None:
    earlier, later = samples([0.0, 4.0])
    later = Sample(
        at=4.0,
        workers=2,
        waiting=5,
        calls=100,
        waited_s=2.0,
        batches=20,
        rows=160,
        room=640,
        busy_s=4.0,
        refused=3,
    )
    load = Load.between(earlier, later)
    assert (load.busy, load.wait_s, load.batch_s, load.fill) == (0.5, 0.02, 0.2, 0.25)
    assert (load.rows_a_second, load.rows_a_busy_second) == (40, 40)
    assert str(load) == (
        "busy 50%, calls waited 20 ms for batches of 200 ms, 25% full, 5 rows waiting, 3 calls refused"
    )
    assert str(Load.between(*samples([0.0, 4.0]))) == "busy 0%"


def test_joined_batches_cannot_make_it_more_than_busy() -> None:
    earlier, later = samples([0.0, 1.0])[0], samples([1.0], busy_s=3.0, batches=3)[0]
    assert Load.between(earlier, later).busy == 1.0
