"""Small cases of the learned policy in simulated time."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from tiffin.benchmarks.batching.service import Service
from tiffin.benchmarks.batching.simulator import Call, simulate
from tiffin.benchmarks.batching.sources import Clients, Poisson
from tiffin.runtime.batching import policy as policy_room
from tiffin.runtime.batching.policy import AdaptivePolicy
from tiffin.runtime.batching.service_times import ServiceTimes, bucket_of, upper_edge
from tiffin.runtime.batching.shape import Shape

LINE = Service("linear", 0.010, 0.0001)


class Script:
    """Calls at given times."""

    def __init__(self, calls: Sequence[float], rows: int = 1) -> None:
        self._calls = [(when, rows, number) for number, when in enumerate(calls)]

    def first(self) -> Sequence[Call]:
        return self._calls

    def following(self, now: float, client: int) -> Call | None:
        return None

    def answered(self, now: float, client: int, served: bool) -> Call | None:
        return None


def test_a_lone_caller_after_a_burst_pays_the_idle_latency() -> None:
    burst = [0.0005 * n for n in range(2000)]
    lone = [1.5 + 0.05 * n for n in range(40)]
    outcome = simulate(
        AdaptivePolicy(64, 0.1, 1), LINE.sample, Script(burst + lone), workers=1, seconds=10, warm_up_s=1.5
    )
    assert len(outcome.latencies) == 40
    assert max(outcome.latencies) <= 1.5 * LINE.mean(1)


def test_of_400_at_once_those_that_can_be_in_time_are_served() -> None:
    service = Service("linear", 0.042, 0.00002)  # 43 ms a batch of 64: two batches in 100 ms
    policy = AdaptivePolicy(64, 0.1, 1)
    warm = [0.1 * n for n in range(20)]
    outcome = simulate(
        policy, service.sample, Script([*warm, *[5.0] * 400]), workers=1, seconds=9, warm_up_s=4
    )
    assert 80 <= len(outcome.latencies) <= 128
    assert outcome.goodput(0.1) == outcome.throughput
    assert outcome.refused >= 250  # at once, not after waiting
    assert outcome.refused + outcome.shed + len(outcome.latencies) == 400


def test_callers_that_come_back_together_are_kept_together() -> None:
    policy = AdaptivePolicy(64, 0.1, 1)
    outcome = simulate(policy, LINE.sample, Clients(32, 0.0005, Random(1)), workers=1, seconds=5, warm_up_s=2)
    assert outcome.throughput > 0.95 * 32 / (LINE.mean(32) + 0.0006)
    assert policy.explain()["expected_returns"]


def test_two_callers_are_kept_together() -> None:
    outcome = simulate(
        AdaptivePolicy(64, 0.1, 1),
        LINE.sample,
        Clients(2, 0.0005, Random(1)),
        workers=1,
        seconds=5,
        warm_up_s=2,
    )
    assert outcome.throughput > 0.95 * 2 / (LINE.mean(2) + 0.0006)


def test_a_knee_is_found_though_the_queue_never_exceeds_the_cap() -> None:
    service = Service("knee", 0.005, 0.0001, knee=16, steep=0.003)
    policy = AdaptivePolicy(64, 0.1, 1)
    outcome = simulate(
        policy, service.sample, Clients(64, 0.0002, Random(2)), workers=1, seconds=6, warm_up_s=3
    )
    assert policy.explain()["cap"] == 16
    assert outcome.throughput > 0.95 * service.capacity(64)


def test_batches_end_at_a_step() -> None:
    service = Service("step", 0.001, 0.001, step=8)
    policy = AdaptivePolicy(64, 1.0, 1)
    rate = 0.7 * service.capacity(64)
    outcome = simulate(policy, service.sample, Poisson(rate, Random(3)), workers=1, seconds=20, warm_up_s=10)
    assert policy.explain()["shape"] == "steps of 8"
    assert all(rows % 8 == 0 for rows in outcome.batches if rows > 8)


def test_two_slow_first_calls_are_forgotten() -> None:
    outcome = simulate(
        AdaptivePolicy(64, 0.1, 1),
        LINE.sample,
        Clients(64, 0.001, Random(4)),
        workers=1,
        seconds=8,
        warm_up_s=6,
        slow_first=(100, 60),
    )
    assert outcome.throughput > 0.9 * 64 / (LINE.mean(64) + 0.0012)


def test_weights_of_any_unit_are_batched() -> None:
    tokens = Service("linear", 0.002, 1e-6)
    outcome = simulate(
        AdaptivePolicy(16_384, 0.5, 1),
        tokens.sample,
        Script([0.002 * n for n in range(3000)], rows=700),
        workers=1,
        seconds=7,
    )
    assert len(outcome.latencies) == 3000
    assert max(outcome.batches) <= 16_384


def test_cancelled_rows_no_longer_count() -> None:
    policy = AdaptivePolicy(4, 0.1, 1)
    for batch in range(20):
        policy.on_complete(0.03 * batch, 4, 0.03)
    while policy.on_arrival(1.0, 1):
        pass
    policy.on_cancel(1.0, 3)
    assert policy.on_arrival(1.0, 1)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 48, 49, 64, 65, 1000])
def test_buckets_are_half_octaves(rows: int) -> None:
    bucket = bucket_of(rows)
    assert upper_edge(bucket) >= rows
    assert bucket == 0 or upper_edge(bucket - 1) < rows


def test_service_times_between_sizes_lie_on_a_line() -> None:
    times = ServiceTimes(64)
    for rows in (10, 20, 40):
        times.learn(rows, 0.001 * rows)
    assert times(30) == pytest.approx(0.030)
    assert times(64) == pytest.approx(0.040)  # larger than any tried: the benefit of the doubt


def test_a_hiccup_counts_for_three_samples_at_most() -> None:
    times = ServiceTimes(64)
    for _ in range(20):
        times.learn(8, 0.01)
    times.learn(8, 10.0)
    assert times(8) <= 0.0121


@pytest.mark.parametrize("knee", [11, 24, 37])
def test_the_place_of_a_knee(knee: int) -> None:
    rng = Random(knee)
    service = Service("knee", 0.004, 0.0002, knee=knee, steep=0.002, noise=0.1)
    shape = Shape()
    for _ in range(300):
        rows = rng.randint(1, 64)
        shape.learn(rows, service.sample(rows, rng), surprising=False)
    assert abs(shape.knee - knee) <= 2


def test_it_is_to_be_had_beside_the_protocol() -> None:
    assert policy_room.AdaptivePolicy is AdaptivePolicy
    assert not hasattr(policy_room, "NoSuchPolicy")


def test_a_size_that_did_far_worse_once_is_tried_again_before_a_larger_one() -> None:
    times = ServiceTimes(64)
    for rows in (1, 2, 4, 4, 8):
        times.learn(rows, 0.0005 + 0.0001 * rows)
    assert times.cap == 64
    times.learn(16, 0.02)
    assert times.cap == 8
    times.learn(16, 0.0021)  # it was a slow first call
    assert times.cap == 64


def test_the_first_batch_past_a_knee_is_the_last_however_long_all_was_well() -> None:
    rng = Random(1)
    times = ServiceTimes(64)
    for _ in range(500):
        rows = rng.randint(4, 24)
        times.learn(rows, (0.0004 + 0.00015 * rows) * rng.uniform(0.98, 1.02))
    assert times.cap == 64
    times.learn(45, 0.0157)
    assert times.cap <= 32
