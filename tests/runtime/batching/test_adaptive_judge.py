"""A short judge: fixed seeds of every family; the long one is benchmarks/batching/judge.py."""

from __future__ import annotations

from functools import partial

import pytest

from tiffin.benchmarks.batching import families
from tiffin.runtime.batching.policy import AdaptivePolicy

# Open loops are judged warm and below load 0.8 here: the backlog of a cold start past a knee outlasts so
# short a run (docs/09-batching.md says by how much the long judge misses there).
SEEDS = range(3002, 3008)


@pytest.mark.parametrize(
    ("family", "run"),
    [
        (families.FAMILIES[0], partial(families.open_loop, requests=10_000, heaviest=0.8, warm_up=0.6)),
        (families.FAMILIES[1], partial(families.closed_loop, requests=6000)),
        (families.FAMILIES[2], partial(families.overload, requests=8000)),
    ],
    ids=lambda value: value.name if isinstance(value, families.Family) else "",
)
def test_meets_the_bar(family: families.Family, run: families.Run) -> None:
    figures = [run(seed, AdaptivePolicy) for seed in SEEDS]
    values = [figure.value for figure in figures]
    mean = sum(values) / len(values)
    if family.most:
        assert min(values) >= family.worst, figures
        assert mean >= family.mean
    else:
        assert max(values) <= family.worst, figures
        assert mean <= family.mean


def test_recovers_from_a_cold_start() -> None:
    figure = families.cold_start(3000, AdaptivePolicy)
    assert figure.value >= families.FAMILIES[3].worst, figure
