from __future__ import annotations

from math import inf

import pytest

from tiffin.runtime.batching.policy import Decision, NaturalPolicy, Pace, max_latency_s, max_rows, natural
from tiffin.runtime.manifest import MethodSpec, RunnerSpec


class Item:
    def __init__(self, arrival: float, rows: int) -> None:
        self.arrival, self.rows = arrival, rows


class Line(list[Item]):
    @property
    def rows(self) -> int:
        return sum(item.rows for item in self)


def waiting(policy: NaturalPolicy, *items: tuple[float, int]) -> Line:
    for arrival, rows in items:
        assert policy.on_arrival(arrival, rows)
    return Line(Item(*item) for item in items)


def learned(policy: NaturalPolicy, rows: int, seconds: float, times: int = 12) -> None:
    for _ in range(times):
        policy.on_complete(0.0, rows, seconds)


def test_an_idle_worker_gets_all_that_waits() -> None:
    policy = NaturalPolicy(8, inf, 1)
    assert policy.decide(1, waiting(policy, (0, 3), (1, 4)), 1) == Decision(2, reason="idle worker")
    assert policy.decide(1, waiting(policy, (0, 3), (1, 5)), 1) == Decision(2, reason="full")
    assert policy.decide(1, waiting(policy, (0, 3), (1, 6)), 1) == Decision(1, reason="full")
    assert policy.decide(1, waiting(policy, (0, 30), (1, 1)), 1) == Decision(1, reason="full")


def test_without_an_idle_worker_it_wakes_for_the_oldest() -> None:
    policy = NaturalPolicy(8, 0.5, 1)
    assert policy.decide(1, waiting(policy, (0.8, 1), (0.9, 1)), 0) == Decision(wake_at=0.8 + 0.5)
    assert NaturalPolicy(8, inf, 1).decide(1, Line([Item(0, 1)]), 0) == Decision()


def test_what_is_too_old_is_shed_oldest_first() -> None:
    policy = NaturalPolicy(8, 0.5, 1)
    line = waiting(policy, (0, 1), (0.1, 2), (0.9, 1))
    assert policy.decide(1, line, 1) == Decision(shed=2)
    del line[:2]
    assert policy.decide(1, line, 1) == Decision(1, reason="idle worker")


def test_arrivals_are_refused_by_the_formula() -> None:
    policy = NaturalPolicy(10, 2.9, 2)
    learned(policy, 10, 1.0)
    accepted = 0
    while policy.on_arrival(0, 1):
        accepted += 1
    assert accepted == 38  # rows / 10 * 1 s / 2 + 1 s <= 2.9 s
    policy.on_cancel(0, 5)
    assert [policy.on_arrival(0, 1) for _ in range(6)] == [True] * 5 + [False]
    policy.workers = 4
    assert policy.on_arrival(0, 1)


def test_nobody_is_refused_before_eight_batches_or_below_the_cap() -> None:
    policy = NaturalPolicy(10, 0.1, 1)
    learned(policy, 10, 100.0, times=8)
    assert policy.on_arrival(0, 1000)
    other = NaturalPolicy(10, 0.1, 1)
    learned(other, 10, 100.0)
    assert other.on_arrival(0, 10)
    assert not other.on_arrival(0, 1)


def test_what_left_the_queue_is_not_counted_as_waiting() -> None:
    policy = NaturalPolicy(10, 2.9, 1)
    learned(policy, 10, 1.0)
    for _ in range(100):
        assert policy.decide(0, waiting(policy, (0, 10), (0, 9)), 1).dispatch == 1
        assert policy.decide(0, Line([Item(0, 9)]), 1).dispatch == 1
    late = waiting(policy, (0, 10), (0, 9))
    assert policy.decide(50, late, 0).shed == 2
    assert policy.on_arrival(0, 19)


def test_the_first_batch_of_a_worker_and_a_hiccup_teach_little() -> None:
    pace = Pace(10, 2)
    for seconds in (60.0, 60.0, *[1.0] * 10, 1000.0):
        pace.learn(10, seconds)
    assert pace.full_batch_s() == pytest.approx(1.2)
    assert Pace(10, 1).full_batch_s() == 0.0


def test_the_largest_size_speaks_for_full_batches() -> None:
    pace = Pace(64, 1)
    for _ in range(10):
        pace.learn(1, 0.1)
        pace.learn(60, 0.8)
    assert pace.full_batch_s() == pytest.approx(0.8)
    assert pace.wait_s(64) == 0
    assert pace.wait_s(128) == pytest.approx(2 * 0.8 + 0.8)


def test_methods_override_the_runner() -> None:
    runner = RunnerSpec(name="r", max_batch_size=64, max_latency_ms=50)
    assert (max_rows(runner, MethodSpec()), max_latency_s(runner, MethodSpec())) == (64, 0.05)
    own = MethodSpec(max_batch_size=4, max_latency_ms=5)
    assert (max_rows(runner, own), max_latency_s(runner, own)) == (4, 0.005)
    assert max_rows(runner, MethodSpec(batch=False, max_batch_size=9)) == 1
    assert max_latency_s(RunnerSpec(name="r"), MethodSpec()) == inf
    made = natural(RunnerSpec(name="r", workers="auto"))(own)
    assert isinstance(made, NaturalPolicy)
    assert (made.max_rows, made.workers) == (4, 1)
