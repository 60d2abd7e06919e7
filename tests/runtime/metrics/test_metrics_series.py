"""What one series counts."""

from __future__ import annotations

import pytest

from tiffin.runtime.metrics import catalog
from tiffin.runtime.metrics.cells import Cells, MemoryCells
from tiffin.runtime.metrics.series import Histogram

BOUNDS = catalog.QUEUE_WAIT.bounds


class Kept(MemoryCells):
    def add(self, family: str, values: object, count: int) -> tuple[Cells, int, int]:
        self.cells, at, place = super().add(family, (), count)
        return self.cells, at, place


@pytest.mark.parametrize(
    "values",
    [
        [],
        [0.0],
        [BOUNDS[-1] * 2],
        [BOUNDS[3]] * 3,
        [1e9, BOUNDS[-1], BOUNDS[4], BOUNDS[3] * 1.01, BOUNDS[3], BOUNDS[3], BOUNDS[2], 0.0, 0.0],
    ],
)
def test_several_at_once_are_counted_as_one_by_one(values: list[float]) -> None:
    one, all_at_once = Kept(), Kept()
    single = Histogram(one, catalog.QUEUE_WAIT, ("iris", "r"))
    for value in values:
        single.observe(value)
    Histogram(all_at_once, catalog.QUEUE_WAIT, ("iris", "r")).observe_falling(values)
    assert list(all_at_once.cells) == pytest.approx(list(one.cells))
