"""The shape of s(n): which of a line, steps (padding) or a line with a knee explains the batches best.

`service_times` says how long a batch takes; the shape says at which sizes a batch is worth most: at the end
of a step, and at the knee.
"""

from __future__ import annotations

from bisect import bisect_right
from math import ceil, exp, log
from typing import ClassVar

from . import lines
from .knees import Bend, Knees, places
from .lines import Point

STEPS = (2, 4, 8, 16, 32, 64)
SHARPER = 12.0
"""A shape must be that much likelier than a line: in -2 log likelihood, its parameters paid for."""
SURE = 64
STAYS = 8.0
"""Steps that were found are given up only when a line is likelier by more than the rest."""
DOUBTFUL = 0.05
"""How likely a line is, beside what its errors say, once the largest size does far worse than the best."""
SOONEST, PATIENT = 4, 128
"""Batches from one look at a surprise to the next; doubles while looking changes nothing."""
FIRST_FIT = 12
LONGEST_GAP = 256
"""Batches from one look to the next without any surprise."""
LARGEST = 256
"""Above that many rows no shape is looked for: buckets are fine enough."""
MOST_POINTS = 64
"""Neighbouring sizes are taken together where there are more: looking takes no longer for more of them."""
TRUST = 8
"""A size is as long as the shape says, at so many samples: what its errors are measured by."""
NEWS = 32
"""A size seen 2, 4, 8 … times is worth another look after that part of all batches so far."""


class Size:
    """Batches of exactly one size."""

    __slots__ = ("mean", "samples", "square")

    MEMORY: ClassVar[int] = 150

    def __init__(self) -> None:
        self.samples = 0
        self.mean = 0.0
        self.square = 0.0
        """Mean squared deviation."""

    def learn(self, seconds: float) -> None:
        self.samples = min(self.samples + 1, self.MEMORY)
        gain = 1 / self.samples
        off = seconds - self.mean
        self.mean += gain * off
        self.square += gain * (off * (seconds - self.mean) - self.square)


class Shape:
    """`fixed + row * n`, of n rounded up to `step`, and `steep` more for each row past `knee`."""

    __slots__ = (
        "_fitted",
        "_next_fit",
        "_patience",
        "_samples",
        "_sizes",
        "_soonest",
        "bent",
        "fixed",
        "knee",
        "knees",
        "most",
        "row",
        "steep",
        "step",
    )

    def __init__(self, most: int = LARGEST) -> None:
        self.most = min(most, LARGEST)
        """The largest batch that a knee could forbid."""
        self.fixed = 0.0
        self.row = 0.0
        self.step = 1
        self.knee = 0
        """The likeliest; 0: none."""
        self.knees = Knees()
        """Where else it may be, while `knee` is not 0."""
        self.steep = 0.0
        self.bent = False
        """Whether a knee is known to be there, and only its place is asked for."""
        self._sizes: dict[int, Size] = {}
        self._samples = 0
        self._next_fit = FIRST_FIT
        self._soonest = 8
        self._fitted = 0
        self._patience = SOONEST

    def learn(self, rows: float, seconds: float, surprising: bool) -> bool:
        """True when the shape was drawn anew; that is now when a batch took surprisingly long."""
        if rows > LARGEST:
            return False
        self._samples += 1
        number = rows if type(rows) is int else max(1, round(rows))
        size = self._sizes.get(number)
        if size is None:
            size = self._sizes[number] = Size()
        size.learn(seconds)
        samples, fitted = self._samples, self._fitted
        # A size seen 2, 4, 8 … times is news as well: a cap that was drawn from few samples must not stay.
        news = size.samples & (size.samples - 1) == 0 and samples >= fitted + max(SOONEST, samples // NEWS)
        if not (samples >= self._next_fit or (surprising and samples > self._soonest) or (news and fitted)):
            return False
        self._fitted = self._samples
        self._soonest = self._samples + self._patience
        self._next_fit = self._samples + max(4, min(LONGEST_GAP, self._samples // 4))
        self._fit()
        return True

    def forget(self, least: int, most: int) -> None:
        """Drops what was learned of sizes from `least` to `most`."""
        for number in [n for n in self._sizes if least <= n <= most]:
            del self._sizes[number]

    @property
    def known(self) -> bool:
        """Whether there is any."""
        return self.fixed > 0 or self.row > 0

    @property
    def largest(self) -> int:
        """Most rows seen."""
        return max(self._sizes, default=0)

    def suspect(self, *, bent: bool) -> None:
        """Whether the largest size does far worse than the best; looks for the knee when that is new."""
        if bent and not self.bent and self._samples >= SURE:
            self.bent = True
            self._fit()
        self.bent = bent
        if bent and not self.knee and self._samples >= FIRST_FIT:  # every batch may show where it is
            self._soonest = self._samples
            self._next_fit = min(self._next_fit, self._samples + SOONEST)

    def __call__(self, rows: float) -> float:
        """Seconds of a batch of that many rows, by the shape."""
        past = rows - self.knee if self.knee and rows > self.knee else 0.0
        return self.fixed + self.row * self.whole(rows) + self.steep * past

    def whole(self, rows: float) -> float:
        """The rows that are paid for: up to the end of the step."""
        step = self.step
        return -(-rows // step) * step if step > 1 else rows

    def rounded(self, rows: float) -> float:
        """The end of the last full step within `rows`, where that does more rows a second; else `rows`."""
        step = self.step
        if step == 1 or rows <= step or rows % step == 0:
            return rows
        down = rows // step * step
        return down if down * self(rows) > rows * self(down) else rows

    def __str__(self) -> str:
        if self.knee:
            return f"knee at {self.knee}"
        return f"steps of {self.step}" if self.step > 1 else "line"

    def _points(self) -> tuple[list[Point], int, float]:
        """(the sizes, smallest first; samples of all; weighted squares around the mean of each)."""
        # Relative errors count: the noise of a batch grows with its length.
        points: list[Point] = []
        total, within = 0, 0.0
        known = self.known
        width = ceil(max(self._sizes, default=1) / MOST_POINTS)
        last = -1
        for n in sorted(self._sizes):
            size = self._sizes[n]
            if size.mean <= 0:
                continue
            usual = size.mean
            if known:  # one batch does not tell its own scale: else a long one would hardly count
                usual = (TRUST * self(n) + size.samples * usual) / (TRUST + size.samples)
            weight = size.samples / (usual * usual)
            within += weight * size.square
            total += size.samples
            group = (n - 1) // width  # its end may be the end of a step
            if group == last:
                x, y, w = points.pop()
                both = w + weight
                points.append(((x * w + n * weight) / both, (y * w + size.mean * weight) / both, both))
            else:
                points.append((n, size.mean, weight))
            last = group
        return points, total, within + 1e-5 * total

    def _fit(self) -> None:
        points, total, within = self._points()
        if len(points) < 3:
            return

        def score(rest: float, parameters: int) -> float:
            return total * log((within + max(0.0, rest)) / total) + parameters * log(total)

        sums = lines.running(points, 1)
        fixed, row, rest = lines.straight(sums[-1])
        line = score(rest, 2)
        best = line - SHARPER
        had_step, had_knee = self.step, self.knee
        self.fixed, self.row, self.step, self.knee, self.steep = fixed, row, 1, 0, 0.0
        straight = Bend(1.0, fixed, row, 0.0, self.most)
        largest = ceil(points[-1][0])
        for step in STEPS:
            if step > 2 * largest:
                break
            fixed, row, rest = lines.straight(lines.running(points, step)[-1])
            value = score(rest, 3) - (STAYS if step == had_step else 0.0)
            if value < best:
                best = value
                self.fixed, self.row, self.step = fixed, row, step
        if len(points) > 3:
            sizes = [point[0] for point in points]
            knee = lines.likeliest(sums, sizes)
            fixed, row, steep, rest = lines.bent(sums, bisect_right(sizes, knee), knee)
            found = score(rest, 4)
            stepped = self.step > 1 and best < found - (SHARPER if self.bent else 0.0)
            if found < line and steep > 0 and not stepped:
                self.fixed, self.row, self.step, self.knee, self.steep = fixed, row, 1, knee, steep
                odds = exp((found - line) / 2) * (DOUBTFUL if self.bent else 1.0)
                bends = [straight._replace(weight=odds)]
                for at, wide in places(knee, max(2, ceil(sizes[1])), ceil(sizes[-1]) - 1):
                    fixed, row, steep, rest = lines.bent(sums, bisect_right(sizes, at), at)
                    if steep > 0:
                        odds = exp(min(0.0, (found - score(rest, 4)) / 2))
                        bends.append(Bend(wide * odds, fixed, row, steep, at))
                self.knees.believe(bends, self.most)
        changed = (self.step, self.knee) != (had_step, had_knee)
        self._patience = SOONEST if changed or self._samples < SURE else min(2 * self._patience, PATIENT)
