"""What the policy says in single cases, and the numbers of the user it works with."""

from __future__ import annotations

import json
from math import inf

import pytest

from tiffin.runtime.batching.decision import fitting
from tiffin.runtime.batching.limits import max_latency_s, max_rows
from tiffin.runtime.batching.policy import AdaptivePolicy, Decision
from tiffin.runtime.manifest import MethodSpec, RunnerSpec


class Item:
    def __init__(self, arrival: float, rows: int) -> None:
        self.arrival, self.rows = arrival, rows


class Line(list[Item]):
    @property
    def rows(self) -> int:
        return sum(item.rows for item in self)


def waiting(policy: AdaptivePolicy, *items: tuple[float, int]) -> Line:
    for arrival, rows in items:
        assert policy.on_arrival(arrival, rows)
    return Line(Item(*item) for item in items)


def learned(policy: AdaptivePolicy, rows: int, seconds: float, times: int = 12) -> None:
    for _ in range(times):
        policy.on_complete(0.0, rows, seconds)


def test_an_idle_worker_gets_all_that_waits() -> None:
    for sizes, number, reason in [
        ((3, 4), 2, "idle worker"),
        ((3, 5), 2, "full"),
        ((3, 6), 1, "full"),
        ((30, 1), 1, "full"),
    ]:
        policy = AdaptivePolicy(8, inf, 1)
        line = waiting(policy, *((0, size) for size in sizes))
        assert policy.decide(1, line, 1) == Decision(number, reason=reason)


def test_without_an_idle_worker_it_wakes_for_the_oldest() -> None:
    policy = AdaptivePolicy(8, 0.5, 1)
    assert policy.decide(1, waiting(policy, (0.8, 1), (0.9, 1)), 0) == Decision(wake_at=0.8 + 0.5)
    assert AdaptivePolicy(8, inf, 1).decide(1, Line([Item(0, 1)]), 0) == Decision()


def test_what_is_too_old_is_shed_oldest_first() -> None:
    policy = AdaptivePolicy(8, 0.5, 1)
    line = waiting(policy, (0, 1), (0.1, 2), (0.9, 1))
    assert policy.decide(1, line, 1)[:2] == (0, 2)
    del line[:2]
    assert policy.decide(1, line, 1) == Decision(1, reason="idle worker")


def test_arrivals_are_refused_by_the_formula() -> None:
    policy = AdaptivePolicy(10, 2.9, 2)
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
    policy = AdaptivePolicy(10, 0.1, 1)
    learned(policy, 10, 100.0, times=8)
    assert policy.on_arrival(0, 1000)
    other = AdaptivePolicy(10, 0.1, 1)
    learned(other, 10, 100.0)
    assert other.on_arrival(0, 10)
    assert not other.on_arrival(0, 1)


def test_the_wait_is_that_of_the_queue_and_the_batch_in_front() -> None:
    policy = AdaptivePolicy(10, inf, 2)
    assert policy.on_arrival(0, 20)
    learned(policy, 10, 1.0, times=8)
    assert policy.wait_s(10) == 0.0, "too little is known"
    learned(policy, 10, 1.0)
    assert policy.wait_s(10) == pytest.approx(30 / 10 * 1.0 / 2 + 1.0)
    policy.on_cancel(0, 20)
    assert policy.wait_s(10) == 0.0, "one batch holds it"


def test_what_left_the_queue_is_not_counted_as_waiting() -> None:
    policy = AdaptivePolicy(10, 2.9, 1)
    learned(policy, 10, 1.0)
    for _ in range(100):
        assert policy.decide(0, waiting(policy, (0, 10), (0, 9)), 1).dispatch == 1
        assert policy.decide(0, Line([Item(0, 9)]), 1).dispatch == 1
    late = waiting(policy, (0, 10), (0, 9))
    assert policy.decide(50, late, 0).shed == 2
    assert policy.on_arrival(0, 19)


def test_the_first_batch_of_a_worker_and_a_hiccup_teach_little() -> None:
    policy = AdaptivePolicy(10, inf, 2)
    for seconds in (60.0, 60.0, *[1.0] * 10, 1000.0):
        policy.on_complete(0.0, 10, seconds)
    (point,) = policy.explain()["service_s"]
    assert point == {"rows": 10, "seconds": pytest.approx(1.2), "samples": 11}


@pytest.mark.parametrize("limit", [0.25, inf])
def test_what_it_explains_is_plain_json(limit: float) -> None:
    policy = AdaptivePolicy(10, limit, 2)
    learned(policy, 10, 0.01)
    policy.on_arrival(0.0, 3)
    told = json.loads(json.dumps(policy.explain(), allow_nan=False))
    assert told["max_latency_s"] == (None if limit == inf else limit)
    assert (told["max_rows"], told["workers"], told["waiting"], told["batches"]) == (10, 2, 3, 12)


def test_the_head_of_the_queue_that_fits() -> None:
    assert fitting(Line(Item(0, 1) for _ in range(9)), 4.9) == (4, 4)
    assert fitting(Line(Item(0, rows) for rows in (3, 1, 2)), 5) == (2, 4)
    assert fitting(Line(Item(0, rows) for rows in (30, 1)), 5) == (1, 30)


def test_methods_override_the_runner() -> None:
    runner = RunnerSpec(name="r", max_batch_size=64, max_latency_ms=50)
    assert (max_rows(runner, MethodSpec()), max_latency_s(runner, MethodSpec())) == (64, 0.05)
    own = MethodSpec(max_batch_size=4, max_latency_ms=5)
    assert (max_rows(runner, own), max_latency_s(runner, own)) == (4, 0.005)
    assert max_rows(runner, MethodSpec(batch=False, max_batch_size=9)) == 1
    assert max_latency_s(RunnerSpec(name="r"), MethodSpec()) == inf
