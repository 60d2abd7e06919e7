"""One metric with its labels filled in: counts into its own cells and does nothing else."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import neg
from typing import Protocol

from .catalog import Family
from .cells import CellFile, Cells


class Series(Protocol):
    def __init__(self, file: CellFile, family: Family, values: tuple[str, ...]) -> None: ...


class Counter:
    """Only grows."""

    __slots__ = ("_at", "_cells")

    def __init__(self, file: CellFile, family: Family, values: tuple[str, ...]) -> None:
        self._cells, self._at, _ = file.add(family.name, values, family.cells)

    def inc(self, amount: float = 1.0) -> None:
        self._cells[self._at] += amount


class Gauge:
    """Goes up and down; ends with the process that set it."""

    __slots__ = ("_at", "_cells", "_file", "_place")

    def __init__(self, file: CellFile, family: Family, values: tuple[str, ...]) -> None:
        self._file = file
        self._cells, self._at, self._place = file.add(family.name, values, family.cells)

    def set(self, value: float) -> None:
        self._cells[self._at] = value

    def add(self, amount: float) -> None:
        self._cells[self._at] += amount

    def remove(self) -> None:
        """Takes the series out of the exposition; it must not be used after that."""
        self._file.drop(self._cells, self._at, self._place)


class Tally:
    """Sums of several kinds that grow together."""

    __slots__ = ("_at", "_cells")

    def __init__(self, file: CellFile, family: Family, values: tuple[str, ...]) -> None:
        self._cells, self._at, _ = file.add(family.name, values, family.cells)

    def add(self, *amounts: float) -> None:
        """One for each of the family's `fields`."""
        at = self._at
        for amount in amounts:
            self._cells[at] += amount
            at += 1

    def set(self, value: float) -> None:
        """Of a tally with one field."""
        self._cells[self._at] = value


class Histogram:
    """Counts values into buckets."""

    __slots__ = ("_at", "_bounds", "_cells", "_sum")

    def __init__(self, file: CellFile, family: Family, values: tuple[str, ...]) -> None:
        self._bounds = family.bounds
        self._cells, self._at, _ = file.add(family.name, values, family.cells)
        self._sum = self._at + family.cells - 1

    def observe(self, value: float) -> None:
        # A value equal to a bound belongs to that bucket: `le` means less or equal.
        cells: Cells = self._cells
        cells[self._at + bisect_left(self._bounds, value)] += 1.0
        cells[self._sum] += value

    def observe_falling(self, values: Sequence[float]) -> None:
        """Counts several values at once, the largest first."""
        cells: Cells = self._cells
        cells[self._sum] += sum(values)
        left, bounds, at = len(values), self._bounds, self._at
        # From the smallest on: all that are in its bucket, then all in that of the smallest of the rest.
        while left:
            place = bisect_left(bounds, values[left - 1])
            rest = bisect_left(values, -bounds[place], 0, left, key=neg) if place < len(bounds) else 0
            cells[at + place] += left - rest
            left = rest
