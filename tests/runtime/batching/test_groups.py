"""Callers of a closed loop in groups, in simulated time: one is computed while another comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from tiffin.benchmarks.batching.fixed import Fixed
from tiffin.benchmarks.batching.service import Service
from tiffin.benchmarks.batching.simulator import Call, Driven, simulate
from tiffin.benchmarks.batching.sources import Clients, Poisson
from tiffin.runtime.batching.decision import Decision, Queue
from tiffin.runtime.batching.policy import AdaptivePolicy

FLAT = Service("linear", 0.0012, 0.00001)
"""As a small network whose weights must come out of memory for each batch."""


@dataclass
class BehindALoop(Clients):
    """The next calls of all that were answered together are read by one event loop, and begin after the last:
    as in an API process, which reads all its sockets before it runs what it read. Now and then it stands
    still, and all callers meet behind it."""

    each_s: float = 40e-6
    rows: int = 0
    """Of the batch that is answered, still to be asked for."""
    pause_s: float = 0.01
    _batches: int = field(default=0, init=False)
    _free_at: float = field(default=0.0, init=False)

    def first(self) -> Sequence[Call]:
        return [(0.0, 1, client) for client in range(self.number)]

    def answered(self, now: float, client: int, served: bool) -> Call | None:
        if self.rows:
            self._batches += 1
            pause_s = self.pause_s if self._batches % 40 == 0 else 0.0
            self._free_at = max(self._free_at, now) + self.rows * self.each_s + pause_s
            self.rows = 0
        return self._free_at, 1, client


@dataclass
class Told:
    """A policy; the source is told of each batch before its clients are."""

    policy: Driven
    source: BehindALoop

    def on_arrival(self, now: float, rows: int) -> bool:
        return self.policy.on_arrival(now, rows)

    def on_complete(self, now: float, rows: int, service_s: float) -> None:
        self.source.rows = rows
        self.policy.on_complete(now, rows, service_s)

    def decide(self, now: float, queue: Queue, idle: int) -> Decision:
        return self.policy.decide(now, queue, idle)


def per_s(policy: Driven, source: Clients) -> float:
    driven = Told(policy, source) if isinstance(source, BehindALoop) else policy
    outcome = simulate(driven, FLAT.sample, source, workers=1, seconds=6, warm_up_s=2, seed=3)
    return outcome.throughput


def test_returning_is_hidden_behind_another_group() -> None:
    # One group of all takes s(64) + 64 * 40 µs = 4.4 ms a round, two take 2 * s(32) = 3.0.
    policy = AdaptivePolicy(64, 30.0, 1)
    found = per_s(policy, BehindALoop(64, 0.0, Random(1)))
    together = per_s(Fixed(64), BehindALoop(64, 0.0, Random(1)))
    assert found > 1.2 * together
    group = policy.explain()["group"]
    assert group is not None
    assert group <= 32


def test_callers_who_are_back_at_once_stay_together() -> None:
    policy = AdaptivePolicy(64, 30.0, 1)
    found = per_s(policy, Clients(64, 0.0, Random(1)))
    assert found > 0.98 * 64 / FLAT.mean(64)
    assert policy.explain()["group"] is None


def test_other_callers_are_not_kept_in_the_groups_of_those_before() -> None:
    policy = AdaptivePolicy(64, 30.0, 1)
    per_s(policy, BehindALoop(64, 0.0, Random(1)))
    assert policy.explain()["group"] is not None
    found = per_s(policy, Clients(48, 0.0, Random(1)))
    assert found > 0.97 * 48 / FLAT.mean(48)
    assert policy.explain()["group"] in (None, 48)


@dataclass
class SoonQuicker(BehindALoop):
    """From some time on callers are back at once."""

    quick_from_s: float = 3.0

    def answered(self, now: float, client: int, served: bool) -> Call | None:
        if now > self.quick_from_s:
            self.each_s = self.pause_s = 0.0
        return super().answered(now, client, served)


def test_groups_end_when_callers_return_sooner() -> None:
    for quick_from_s in (2.0, 8.0):  # of which the trials of the second half became rare
        policy = AdaptivePolicy(64, 30.0, 1)
        source = SoonQuicker(64, 0.0, Random(1), quick_from_s=quick_from_s)
        end = quick_from_s + 8
        outcome = simulate(
            Told(policy, source), FLAT.sample, source, workers=1, seconds=end, warm_up_s=end - 2, seed=3
        )
        assert outcome.throughput > 0.95 * 64 / FLAT.mean(64)


def test_open_loops_are_left_alone() -> None:
    for load in (0.5, 0.9):
        policy = AdaptivePolicy(64, 30.0, 1)
        rate = load * 64 / FLAT.mean(64)
        outcome = simulate(policy, FLAT.sample, Poisson(rate, Random(5)), workers=1, seconds=6, seed=5)
        assert outcome.latencies
        assert policy.explain()["group"] is None


def test_as_good_as_the_best_cap_for_callers_behind_a_loop() -> None:
    for clients, each_s in ((16, 100e-6), (64, 20e-6), (64, 80e-6), (200, 30e-6)):
        best = max(
            per_s(Fixed(cap), BehindALoop(clients, 0.0, Random(2), each_s=each_s))
            for cap in (4, 8, 16, 22, 32, 48, 64)
        )
        found = per_s(AdaptivePolicy(64, 30.0, 1), BehindALoop(clients, 0.0, Random(2), each_s=each_s))
        assert found > 0.93 * best, (clients, each_s)
