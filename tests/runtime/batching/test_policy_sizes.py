"""Which batch sizes the learned policy takes: parts of a queue, first sizes under load, places of a knee."""

from __future__ import annotations

from math import inf
from random import Random

import pytest

from tiffin.benchmarks.batching.fixed import Fixed
from tiffin.benchmarks.batching.service import Service
from tiffin.benchmarks.batching.simulator import Driven, Request, SimulatedQueue, simulate
from tiffin.benchmarks.batching.sources import Poisson
from tiffin.runtime.batching.knees import Bend, Knees, places
from tiffin.runtime.batching.policy import GROWS, STRIDE, AdaptivePolicy
from tiffin.runtime.batching.service_times import ServiceTimes
from tiffin.runtime.batching.shape import Shape


def queue_of(number: int, arrival: float) -> SimulatedQueue:
    queue = SimulatedQueue()
    for _ in range(number):
        queue.append(Request(arrival, 1, 0))
    return queue


def taught(service: Service, *, rate: float, workers: int = 1) -> tuple[AdaptivePolicy, float]:
    """A policy that has seen batches of all sizes, and calls at that rate; and the time."""
    policy, rng = AdaptivePolicy(64, inf, workers), Random(1)
    now = 0.0
    for _ in range(400):
        rows = rng.randint(1, 48)
        for _ in range(10):  # evenly: no answer brings callers
            policy.on_arrival(now, round(rate * 0.005))
            now += 0.005
        policy.on_complete(now, rows, service.mean(rows))
    return policy, now


def test_a_burst_goes_in_parts_where_rows_cost_and_batches_do_not() -> None:
    dear_rows, now = taught(Service("linear", 0.0007, 0.0012), rate=200)
    assert dear_rows.decide(now, queue_of(15, now - 1), 1).dispatch <= 6
    dear_batches, now = taught(Service("linear", 0.05, 0.0001), rate=200)
    assert dear_batches.decide(now, queue_of(15, now - 1), 1).dispatch == 15


def test_parts_shrink_no_batch_that_is_needed_to_keep_up() -> None:
    service = Service("linear", 0.002, 0.0001)
    policy, now = taught(service, rate=0.9 * service.capacity(64))
    assert policy.decide(now, queue_of(40, now - 1), 1).dispatch == 40


def test_a_burst_in_parts_is_answered_sooner() -> None:
    service = Service("linear", 0.0007, 0.0012)

    def mean(policy: Driven) -> float:
        source = Poisson(0.34 * 2 * service.capacity(64), Random(5), 15)
        return simulate(policy, service.sample, source, workers=2, seconds=8, warm_up_s=2).mean_s

    assert mean(AdaptivePolicy(64, inf, 2)) < 0.85 * mean(Fixed(64, workers=2, split=True))


def test_first_batches_grow_step_by_step_under_load() -> None:
    service = Service("knee", 0.0034, 0.00002, knee=12, steep=0.00145)
    policy = AdaptivePolicy(64, inf, 1)
    source = Poisson(0.95 * service.capacity(64), Random(2))
    outcome = simulate(policy, service.sample, source, workers=1, seconds=0.5)
    largest = 1
    for rows in outcome.batches:
        assert rows <= max(GROWS * largest, largest + STRIDE * 64)
        largest = max(largest, rows)
    assert policy.explain()["cap"] == 12
    assert sum(rows > 16 for rows in outcome.batches) <= 3, "few batches tell that they are past the knee"


def test_without_load_a_burst_goes_at_once() -> None:
    policy = AdaptivePolicy(64, inf, 1)
    for second in range(20):
        policy.on_arrival(second, 1)
        policy.on_complete(second + 0.01, 1, 0.01)
    for _ in range(64):
        policy.on_arrival(30.0, 1)
    assert policy.decide(30.0, queue_of(64, 30.0), 1).dispatch == 64


def test_a_large_request_lifts_the_limit_on_growth() -> None:
    policy = AdaptivePolicy(64, inf, 1)
    for batch in range(12):
        for _ in range(100):
            policy.on_arrival(0.01 * batch, 1)
        policy.on_complete(0.01 * batch + 0.01, 1, 0.01)
    assert policy.decide(1.0, queue_of(64, 1.0), 1).dispatch == 1 + STRIDE * 64
    policy.on_complete(1.1, 64, 0.02)
    assert policy.decide(1.2, queue_of(64, 1.2), 1).dispatch == 64


def test_a_size_is_promising_unless_a_smaller_one_takes_too_long_already() -> None:
    times = ServiceTimes(64)
    for _ in range(4):
        times.learn(8, 0.004)
        times.learn(16, 0.020)
    assert times.promising(12)
    assert not times.promising(20)  # no less than 20 ms: 1,000 rows a second, where 8 rows do 2,000
    assert times.promising(64)
    assert times.promising(2), "nothing smaller is known"


def test_a_gap_beside_the_best_size_is_tried_a_few_times() -> None:
    times = ServiceTimes(64)
    for rows, seconds in ((4, 0.004), (16, 0.005), (64, 0.064)):
        times.learn(rows, seconds)
        times.learn(rows, seconds)
    tried = []
    while size := times.between():
        tried.append(size)
        times.learn(size, 0.004 + 0.001 * max(0, size - 15))
    assert min(tried) > 16, "8 rows would have to be faster than 4"
    assert max(tried) == 32
    assert len(tried) <= 12


def test_a_size_with_few_samples_gets_the_benefit_of_the_doubt() -> None:
    rng, times = Random(3), ServiceTimes(16)
    for _ in range(60):
        times.learn(16, 0.016 * rng.uniform(0.7, 1.3))
    for _ in range(2):
        times.learn(8, 0.0082)  # 975 rows a second, where 16 rows do 1,000
    assert times.hopeful(16) == 8
    for _ in range(400):
        times.learn(8, 0.0100 * rng.uniform(0.95, 1.05))
    assert times.hopeful(16) == 0


@pytest.mark.parametrize("steep, safe", [(0.020, 20), (0.00025, 24), (0.0001, 64)])
def test_the_safe_size_weighs_what_each_mistake_costs(steep: float, safe: int) -> None:
    knees = Knees()
    knees.believe([Bend(1.0, 0.004, 0.0002, steep, knee) for knee in (20, 22, 24)], 64)
    assert knees.safe == safe
    assert {knees.draw() for _ in range(30)} == ({20, 22, 24} if safe < 64 else {0})


def test_a_bend_that_leaves_larger_batches_better_is_no_knee() -> None:
    knees = Knees()
    knees.believe([Bend(1.0, 0.050, 0.0002, 0.0001, 20)], 64)
    assert (knees.safe, knees.draw()) == (64, 0)


@pytest.mark.parametrize("line, safe", [(0.1, 20), (20.0, 64)])
def test_that_there_may_be_no_knee_counts_as_far_as_it_is_likely(line: float, safe: int) -> None:
    knees = Knees()
    knees.believe([Bend(line, 0.010, 0.0001, 0.0, 64), Bend(1.0, 0.010, 0.0001, 0.001, 20)], 64)
    assert knees.safe == safe


def test_places_stand_for_all_sizes_around_the_likeliest() -> None:
    around = places(100, 2, 255)
    assert {at for at, _ in around} >= set(range(97, 104))
    assert len(around) <= 27
    assert sum(wide for _, wide in around) == pytest.approx(170 - 60, abs=10)


def test_the_shape_is_drawn_seldom_from_ever_so_many_sizes() -> None:
    rng, shape, drawn = Random(4), Shape(), 0
    for _ in range(3000):
        rows = rng.randint(1, 256)
        drawn += shape.learn(rows, (0.005 + 0.0001 * rows) * rng.uniform(0.9, 1.1), surprising=False)
    assert drawn < 200
    assert shape(100) == pytest.approx(0.015, rel=0.05)


@pytest.mark.parametrize("most", [64, 256])
def test_large_sizes_seen_once_tell_of_a_knee(most: int) -> None:
    rng, shape = Random(6), Shape()
    knee = most * 3 // 4

    def learn(rows: int) -> None:
        past = max(0, rows - knee)
        shape.learn(rows, (0.004 + 0.0001 * rows + 0.002 * past) * rng.uniform(0.9, 1.1), surprising=past > 0)

    for _ in range(6):
        for rows in range(1, knee):
            learn(rows)
    for rows in range(knee + 2, most, 3):
        learn(rows)
    for _ in range(300):
        learn(rng.randint(1, knee))
    assert abs(shape.knee - knee) <= 3
    assert abs(shape.knees.safe - knee) <= 4
