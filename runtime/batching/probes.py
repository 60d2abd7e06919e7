"""When to try another batch size than the cap: sizes never sent are never learned."""

from __future__ import annotations

from .service_times import ServiceTimes

GOES_ON = 0.7
"""Half a batch that does that many of the rows a second of the whole: try a quarter as well."""
PARTS = (0.75, 1.25, 0.88, 1.12)
"""Neighbours of the cap to try, as parts of it."""
USUAL = 0.75
"""Part of the mean batch from which a batch is a usual one."""
SURE = 4
FIRST_GAP, LONGEST_GAP = 8, 512
"""Full batches from one neighbour to the next; the gap doubles after `SURE`, later when times are noisy."""
NOISE = 0.08
"""Spread at which twice `SURE` would be needed, roughly: probes grow with its square."""


class Probes:
    __slots__ = ("_full", "_gap", "_next", "number")

    def __init__(self) -> None:
        self.number = 0
        self._full = 0
        """Batches so far that could have held more rows."""
        self._gap = FIRST_GAP
        self._next = FIRST_GAP

    def next(self, times: ServiceTimes, room: float) -> int:
        """The size to try instead of a full batch of `room`; 0: none."""
        self._full += 1
        size = self._untried(times, room)
        if size == 0 and self._full >= self._next:
            self._next = self._full + self._gap
            if self.number > SURE + (times.spread / NOISE) ** 2:
                self._gap = min(2 * self._gap, LONGEST_GAP)
            part = PARTS[self.number % len(PARTS)]
            wanted = max(room + 1, round(room * part)) if part > 1 else round(room * part)
            size = max(1, int(wanted if wanted <= times.max_rows else 0.75 * room))
        self.number += size > 0
        return size

    def smaller(self, times: ServiceTimes, rows: float) -> int:
        """The size to try instead of a usual batch that is not full: a knee may lie below it; 0: none."""
        if not times.samples or rows < 4 or rows < USUAL * times.mean_rows:
            return 0
        self._full += 1
        size = self._halves(times, rows)
        self.number += size > 0
        return size

    def _untried(self, times: ServiceTimes, room: float) -> int:
        """Half or twice the size, not measured twice yet."""
        twice = 2 * room
        if twice <= times.max_rows and times.tried(twice) < 2 and self._full % 4 == 0:
            return int(twice)
        return self._halves(times, room)

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
