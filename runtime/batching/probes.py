"""When to try another batch size than the cap: sizes never sent are never learned."""

from __future__ import annotations

from math import ceil

from .service_times import ServiceTimes

GOES_ON = 0.7
"""Half a batch that does that many of the rows a second of the whole: try a quarter as well."""
PARTS = (0.75, 1.25, 0.88, 1.12)
"""Neighbours of the cap to try, as parts of it."""
BELOW = (0.94, 0.88)
"""Where a knee is known: the line below it is what its place is told by."""
BEYOND = 1.5
"""A knee is believed once a size that many times as large was tried."""
USUAL = 0.75
"""Part of the mean batch from which a batch is a usual one."""
SURE = 4
FIRST_GAP, LONGEST_GAP = 8, 512
"""Full batches from one neighbour to the next; the gap doubles after `SURE`, later when times are noisy."""
BETWEEN, HOPES, DRAWS = 2, 4, 3
"""Every so many full batches: a size between others, one that may be better, another place of the knee."""
NOISE = 0.08
"""Spread at which twice `SURE` would be needed, roughly: probes grow with its square."""


class Probes:
    """Counts full batches, and says which are worth another size."""

    __slots__ = ("_below", "_full", "_gap", "_next", "_turn", "number")

    def __init__(self) -> None:
        self.number = 0
        self._full = 0
        """Batches so far that could have held more rows."""
        self._gap = FIRST_GAP
        self._next = FIRST_GAP
        self._below = 0
        """When a size below the knee is tried next."""
        self._turn = 0

    def next(self, times: ServiceTimes, room: float) -> int:
        """The size to try instead of a full batch of `room`; 0: none."""
        self._full += 1
        shape = times.shape
        size = self._halves(times, room)
        if size == 0 or not times.promising(size):
            if shape.knee:
                size = self._about_the_knee(times, room)
            elif shape.bent:
                size = times.between() if self._full % BETWEEN == 0 else 0
            else:
                size = self._elsewhere(times, room)
        if size == room:
            return 0
        self.number += size > 0
        return size

    def _about_the_knee(self, times: ServiceTimes, room: float) -> int:
        size = 0
        if self._full % HOPES == 0:
            beyond = ceil(BEYOND * room)  # what looks like a knee may be the end of a step
            size = beyond if times.shape.largest < beyond <= times.max_rows else times.hopeful(room)
        if size == 0 and self._full >= self._below:
            self._below = self._full + max(HOPES, self._full // 3)
            self._turn += 1
            size = max(1, round(room * BELOW[self._turn % len(BELOW)]))
        if size == 0 and self._full % DRAWS == 0:
            size = int(min(times.shape.knees.draw() or times.max_rows, times.max_rows))
        return size

    def _elsewhere(self, times: ServiceTimes, room: float) -> int:
        """Twice the size, one that may be better, or a neighbour."""
        twice = 2 * room
        size = 0
        if self._full % HOPES == 0:
            size = int(twice) if twice <= times.max_rows and times.tried(twice) < 2 else times.hopeful(room)
        if size == 0 and self._full >= self._next:
            self._next = self._full + self._gap
            if self.number > SURE + (times.spread / NOISE) ** 2:
                self._gap = min(2 * self._gap, LONGEST_GAP)
            part = PARTS[self._turn % len(PARTS)]
            self._turn += 1
            wanted = max(room + 1, round(room * part)) if part > 1 else round(room * part)
            size = max(1, int(wanted if wanted <= times.max_rows else 0.75 * room))
        return size if size and times.promising(size) else 0

    def smaller(self, times: ServiceTimes, rows: float) -> int:
        """The size to try instead of a usual batch that is not full: a knee may lie below it; 0: none."""
        if not times.samples or rows < 4 or rows < USUAL * times.mean_rows:
            return 0
        self._full += 1
        size = self._halves(times, rows)
        if size and not times.promising(size):
            size = 0
        self.number += size > 0
        return size

    def _halves(self, times: ServiceTimes, size: float) -> int:
        """Halves not measured twice yet, as long as halving costs little."""
        while size >= 2:
            half = size // 2
            tried = times.tried(half)
            if tried < 2:
                return 0 if self._full % (tried + 2) else int(half)
            if half * times(size) < GOES_ON * size * times(half):
                break
            size = half
        return 0
