"""What is believed of s(n) while its times are noisy."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from tiffin.benchmarks.batching.service import Service
from tiffin.runtime.batching.odds import LEAST, MOST, Odds, shapes

NOISE = 0.2


def learned(service: Service, sizes: list[int], most: int = 64) -> Odds:
    rng, odds = Random(7), Odds(most)
    for size in sizes:
        odds.learn(size, service.sample(size, rng))
    return odds


@pytest.mark.parametrize("most", [LEAST, 5, 16, 64, 65, MOST])
def test_shapes_have_a_best_size(most: int) -> None:
    table = shapes(most)
    assert table.logs.shape == table.worth.shape == (len(table.best), most)
    assert math.isclose(float(np.exp(table.prior).sum()), 1.0)
    assert table.worth.max() == 1.0
    assert set(np.unique(table.best)) <= set(range(1, most + 1))
    at_best = table.worth[np.arange(len(table.best)), table.best - 1]
    assert at_best.min() > 0.999


@pytest.mark.parametrize("knee", [12, 24, 40])
def test_a_knee_is_found_in_noise(knee: int) -> None:
    service = Service("knee", 0.004, 0.0001, knee=knee, steep=0.001, noise=NOISE)
    odds = learned(service, [*range(2, 64, 2)] * 8)
    assert abs(odds.weigh() - knee) <= 2
    assert abs(odds.telling() - knee) <= 12


def test_on_a_line_the_largest_is_best() -> None:
    odds = learned(Service("linear", 0.010, 0.0001, noise=NOISE), [8, 16, 32, 48, 64] * 12)
    assert odds.weigh() == 64


def test_nothing_known() -> None:
    odds = Odds(64)
    odds.learn(65, 1.0)
    odds.learn(8, 0.0)
    assert odds.weigh() == 64
    assert odds.telling() == 0


def test_changes_are_seen() -> None:
    rng, odds = Random(3), Odds(64)
    sizes = [8, 16, 24, 32, 48, 64]
    before = Service("linear", 0.010, 0.0001, noise=NOISE)
    after = Service("knee", 0.010, 0.0001, knee=16, steep=0.004, noise=NOISE)
    for service, best in ((before, {64}), (after, set(range(13, 20)))):
        for number in range(1200):
            for size in sizes:
                odds.learn(size, service.sample(size, rng))
            if number % 10 == 0:
                odds.weigh()
        assert odds.weigh() in best
