"""Where a knee may be, and how likely each place is: what a batch size is chosen and tried by."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

UNLIKELY = 0.02
"""Places that many times less likely than the likeliest are left out."""
CLOSE = 3
"""All sizes so near the likeliest place are looked at, and about `FARTHER` of the others."""
FARTHER = 18
LOW, HIGH = 0.6, 1.7
"""Parts of the likeliest place between which a knee is looked for."""
GOLDEN = 0.6180339887498949
"""Multiples of it fill a range evenly, and never repeat."""


class Bend(NamedTuple):
    """One place of the knee, with the line up to it and the one beyond."""

    weight: float
    """Likelihood, relative."""
    fixed: float
    row: float
    steep: float
    knee: int

    def seconds(self, rows: int) -> float:
        past = rows - self.knee if rows > self.knee else 0
        return self.fixed + self.row * rows + self.steep * past

    @property
    def best(self) -> int:
        """The size that does most rows a second; 0: the larger, the better."""
        return self.knee if self.fixed < self.steep * self.knee else 0


class Knees:
    """The places that the batches so far allow for."""

    __slots__ = ("_bends", "_sums", "_turn", "safe")

    def __init__(self) -> None:
        self.safe = 0
        """The size that does most rows a second on average over all places; 0: none is known.

        It lies below the likeliest knee where a batch too large costs more than one too small.
        """
        self._bends: list[Bend] = []
        self._sums: list[float] = []
        self._turn = 0.0

    def believe(self, bends: list[Bend], most: int) -> None:
        """Takes what is known now.

        Args:
            bends: at least one; the weight of the likeliest is about 1. Without a steep part: no knee.
            most: the largest size that may be chosen.
        """
        self._bends = likely = [bend for bend in bends if bend.weight > UNLIKELY]
        total = 0.0
        self._sums = []
        for bend in likely:
            total += bend.weight
            self._sums.append(total)
        knees = sorted(bend.best for bend in likely if bend.best)
        least, last = (max(1, knees[0] * 2 // 3), min(most, knees[-1])) if knees else (most, most)
        pace = 0.0
        for rows in [*range(least, last + 1, 1 + max(0, last - least) // (2 * FARTHER)), most]:
            took = 0.0
            for bend in likely:
                took += bend.weight * bend.seconds(rows)
            if rows > pace * took:
                pace, self.safe = rows / took, rows

    def draw(self) -> int:
        """The best size for one of the places, each as often as it is likely; 0: the larger, the better."""
        self._turn = (self._turn + GOLDEN) % 1.0
        place = bisect_right(self._sums, self._turn * self._sums[-1])
        return self._bends[min(place, len(self._bends) - 1)].best


def places(knee: int, least: int, most: int) -> list[tuple[int, int]]:
    """(size, sizes that it stands for) of the places to look at around the likeliest one."""
    low, high = max(least, int(LOW * knee)), min(most, int(HIGH * knee) + 1)
    stride = 1 + (high - low) // FARTHER
    close = [(at, 1) for at in range(max(low, knee - CLOSE), min(high, knee + CLOSE) + 1)]
    return close + [(at, stride) for at in range(low, high + 1, stride) if abs(at - knee) > CLOSE]
