"""Learned service times: seconds of a batch of n rows, and the batch size beyond which rows get dearer."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import ceil, inf, sqrt
from typing import ClassVar

from .shape import Shape


def bucket_of(rows: float) -> int:
    """Half octaves: 1, 2, 3, 4, 5-6, 7-8, 9-12, 13-16, 17-24, …"""
    whole = ceil(rows)
    if whole <= 2:
        return max(0, whole - 1)
    octave = (whole - 1).bit_length()
    return 2 * octave - (2 if whole <= 3 << (octave - 2) else 1)


def upper_edge(bucket: int) -> int:
    """Most rows of a bucket."""
    if bucket < 2:
        return bucket + 1
    octave, upper = divmod(bucket + 2, 2)
    return 3 << (octave - 2) if not upper else 1 << octave


_BUCKETS = [0, *map(bucket_of, range(1, 1025))]

SETTLED = 64
"""Batches after which the curve is drawn anew less often."""
SOON, OFTEN = 2, 8
"""From then on: batches until the next curve when one is surprising, and anyhow."""
SURE = 16
"""Before that many batches one sample of a size tells little."""


EARLY = 2
"""Up to that many batches one may be a slow first call."""
HALF, SLOW = 0.5, 1.5
"""It does less than that of the best rows a second, and takes that many times as long as a larger size."""
FAR_WORSE = 0.8
"""A size that does less than that of the best rows a second counts though it was tried once."""
HOPE = 1.5
"""Standard errors by which a size may be better than it did."""
ENOUGH = 3
"""Samples of a size after which it is no longer looked at just because little is known of it."""
WIDE = 1.3
"""Sizes that many times apart may have a better one between them."""
OLD = 2000
"""Batches after which a size that was not used is forgotten."""


class Bucket:
    """Batches of about one size."""

    __slots__ = ("first", "last", "number", "rows", "samples", "seconds")

    FIRST: ClassVar[int] = 10
    """Mean of the first samples, then gain 1 / FIRST."""
    CLIP: ClassVar[float] = 3.0
    """A sample counts for at most that many times the mean: one hiccup refuses nobody."""

    def __init__(self, number: int, first: int) -> None:
        self.number = number
        self.first = self.last = first
        """Batches seen by the first and by the last sample."""
        self.samples = 0
        self.rows = 0.0
        self.seconds = 0.0

    def learn(self, rows: float, seconds: float) -> None:
        self.samples += 1
        if self.samples == 2:  # a slow first call must not be averaged in
            low, high = sorted((self.seconds, seconds))
            self.seconds, seconds = low, high if high <= self.CLIP * low else low
        elif self.samples > 2:
            seconds = min(seconds, self.CLIP * self.seconds)
        gain = 1 / min(self.samples, self.FIRST)
        self.rows += gain * (rows - self.rows)
        self.seconds += gain * (seconds - self.seconds)

    @property
    def pace(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds > 0 else float("inf")


class ServiceTimes:
    """s(n), learned in half octaves of n and read by straight lines between them.

    Args:
        max_rows: the largest batch that is worth trying.
    """

    WORSE: ClassVar[float] = 0.9
    """The largest size counts as past a knee when it does less than that of the best rows a second."""

    __slots__ = (
        "_at",
        "_buckets",
        "_next",
        "_seconds",
        "_soon",
        "cap",
        "max_rows",
        "mean_rows",
        "mean_s",
        "samples",
        "shape",
        "spread",
    )

    def __init__(self, max_rows: float) -> None:
        self.max_rows = max_rows
        self.cap = max_rows
        """Rows beyond which a batch does fewer rows a second."""
        self.samples = 0
        self.mean_rows = 1.0
        """Of the recent batches."""
        self.mean_s = 0.0
        """Of the recent batches."""
        self.spread = 0.0
        """Mean relative deviation of a sample."""
        self.shape = Shape(max(1, int(max_rows)))
        self._buckets: dict[int, Bucket] = {}
        self._soon = self._next = 0
        """Batches at which the curve is drawn anew, if one took surprisingly long or short, or anyhow."""
        self._at: list[float] = []
        self._seconds: list[float] = []

    def learn(self, rows: float, seconds: float) -> None:
        """A batch of that many rows took that long."""
        self.samples = samples = self.samples + 1
        expected = self(rows)
        number = _BUCKETS[rows] if type(rows) is int and rows < len(_BUCKETS) else bucket_of(rows)
        bucket = self._buckets.get(number)
        new = bucket is None
        if bucket is None:
            bucket = self._buckets[number] = Bucket(number, samples)
        off = abs(seconds - expected)
        if not new and expected > 0 and bucket.samples >= 3:
            self.spread += 0.05 * (min(1.0, off / expected) - self.spread)
        bucket.learn(rows, seconds)
        bucket.last = samples
        longest = Bucket.CLIP * bucket.seconds
        clipped = min(longest, seconds)
        surprising = off > max(0.1, 3 * self.spread) * expected
        drawn = self.shape.learn(rows, clipped, surprising)
        gain = 1 / samples if samples < 10 else 0.1
        self.mean_rows += gain * (rows - self.mean_rows)
        self.mean_s += gain * (clipped - self.mean_s)
        # A mean moves little by one sample more: once much is known, not every batch is worth a new curve.
        due = samples <= SETTLED or samples >= self._next
        if due or new or drawn or (surprising and samples >= self._soon):
            self._soon, self._next = samples + SOON, samples + OFTEN
            if due:
                self._forget()
            self._redraw()
            self._choose_cap()

    def __call__(self, rows: float) -> float:
        """Seconds of a batch of that many rows; 0 while nothing is known.

        Sizes larger than any tried get the benefit of the doubt: they take no longer than the largest tried.
        """
        at, seconds = self._at, self._seconds
        place = bisect_left(at, rows)
        if place == len(at):
            return seconds[-1] if seconds else 0.0
        if at[place] == rows:
            return seconds[place]
        if place == 0:
            if len(at) == 1:
                return seconds[0]
            place = 1
        left, right = at[place - 1], at[place]
        low, high = seconds[place - 1], seconds[place]
        return max(0.1 * low, low + (high - low) * (rows - left) / (right - left))

    def fixed_share(self, rows: float) -> float:
        """Part of the time of a batch that does not grow with its rows."""
        seconds = self.shape(rows)
        if seconds > 0:
            return self.shape.fixed / seconds
        whole = self(rows)
        return max(0.0, 2 - self(2 * rows) / whole) if whole > 0 else 0.0

    def tried(self, rows: float) -> int:
        """Samples of about that size."""
        bucket = self._buckets.get(bucket_of(rows))
        return bucket.samples if bucket else 0

    @property
    def best_pace(self) -> float:
        """Most rows a second of all sizes tried; 0: none was."""
        return max([bucket.pace for bucket in self._buckets.values()], default=0.0)

    def promising(self, rows: float) -> bool:
        """Whether that size would be the best if it took no longer than a smaller one that was tried."""
        at, seconds = self._at, self._seconds
        place = bisect_right(at, rows)
        if place:
            least = seconds[place - 1]
        elif len(at) > 1:  # a row saves no more below the sizes tried than among them
            least = seconds[0] - (at[0] - rows) * (seconds[1] - seconds[0]) / (at[1] - at[0])
        else:
            return True
        return rows * (1.05 + self.spread) > self.best_pace * least

    def between(self) -> int:
        """A promising size in a gap beside the best one, the wider gap first; 0: there is none."""
        sizes = sorted([(bucket.rows, bucket.pace) for bucket in self._buckets.values()])
        place = max(range(len(sizes)), key=lambda at: sizes[at][1])
        rows = sizes[place][0]
        below = rows / sizes[place - 1][0] if place else rows
        above = sizes[place + 1][0] / rows if place + 1 < len(sizes) else 1.0
        tries = [(below, round(rows / sqrt(below))), (above, round(rows * sqrt(above)))]
        for gap, size in sorted(tries, reverse=True):
            if gap > WIDE and self.tried(size) < ENOUGH and self.promising(size):
                return size
        return 0

    def hopeful(self, room: float) -> int:
        """The size that may most surpass `room`, as far as its few samples tell; 0: none."""
        seconds = self.shape(room) if self.shape.knee else self(room)
        if seconds <= 0:
            return 0
        best, size = room / seconds, 0
        here, doubt = bucket_of(room), HOPE * max(0.02, self.spread)
        for number, bucket in self._buckets.items():
            took = self(bucket.rows)  # beside its neighbours: one quick batch of a small size is luck
            hope = bucket.rows / took * (1 + doubt / sqrt(bucket.samples)) if took > 0 else inf
            if hope > best and number != here and self.promising(bucket.rows):
                best, size = hope, round(bucket.rows)
        return min(size, int(self.max_rows))

    def table(self) -> list[tuple[float, float, int]]:
        """(mean rows, seconds, samples) of each size tried."""
        return [(b.rows, b.seconds, b.samples) for _, b in sorted(self._buckets.items())]

    def _forget(self) -> None:
        """Sizes that may be better than remembered get the benefit of the doubt again.

        A slow first call is not the pace of its size; nor is what was last seen thousands of batches ago.
        """
        best = max([bucket.pace for bucket in self._buckets.values()])
        old = self.samples - OLD
        doubtful: list[int] = []
        least = inf  # seconds of the larger sizes
        for number in sorted(self._buckets, reverse=True):
            b = self._buckets[number]
            slow = b.pace < HALF * best and (b.seconds > SLOW * least or least == inf)
            if (b.samples == 1 and b.first <= EARLY and slow) or b.last < old:
                doubtful.append(number)
            else:
                least = min(least, b.seconds)
        for number in doubtful:
            del self._buckets[number]
            self.shape.forget(upper_edge(number - 1) + 1 if number else 1, upper_edge(number))

    def _redraw(self) -> None:
        """A larger batch takes no less time: neighbours that say otherwise are pooled."""
        at: list[float] = []
        seconds: list[float] = []
        weights: list[int] = []
        buckets = self._buckets
        for number in sorted(buckets):
            bucket = buckets[number]
            x, y, weight = bucket.rows, bucket.seconds, min(bucket.samples, Bucket.FIRST)
            while seconds and seconds[-1] > y:
                x0, y0, w0 = at.pop(), seconds.pop(), weights.pop()
                x, y = (x0 * w0 + x * weight) / (w0 + weight), (y0 * w0 + y * weight) / (w0 + weight)
                weight += w0
            at.append(x)
            seconds.append(y)
            weights.append(weight)
        self._at, self._seconds = at, seconds

    def _choose_cap(self) -> None:
        buckets = self._buckets
        best = largest = None
        for number in sorted(buckets):
            bucket = buckets[number]
            if best is None or bucket.pace > best.pace:
                best = bucket
            # One slow batch early on may have been a first call, not a size that is worse; but a larger one
            # follows only once that size was tried again, for past a knee each costs a backlog of its own.
            if bucket.samples > 1 or self.samples > SURE or bucket.pace < FAR_WORSE * best.pace:
                largest = bucket
        if best is None or largest is None:
            return
        few = min(largest.samples, best.samples)
        doubt = 1 + 2 * self.spread / few**0.5 + (0.25 if self.samples < SURE and few < 2 else 0.0)
        shape = self.shape
        shape.suspect(bent=largest.pace * doubt < self.WORSE * best.pace)
        if shape.knee:
            best_rows = shape.knees.safe
            self.cap = float(best_rows) if best_rows < shape.most else self.max_rows
        elif shape.bent and shape.step == 1:  # what began a step is no knee
            self.cap = min(self.max_rows, upper_edge(best.number))
        else:
            self.cap = self.max_rows
