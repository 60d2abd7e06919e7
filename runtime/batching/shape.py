"""The shape of s(n): which of a line, steps (padding) or a line with a knee explains the batches best.

`service_times` says how long a batch takes; the shape says at which sizes a batch is worth most: at the end
of a step, and at the knee.
"""

from __future__ import annotations

from math import log

STEPS = (2, 4, 8, 16, 32, 64)
SHARPER = 12.0
"""A shape must be that much likelier than a line: in -2 log likelihood, its parameters paid for."""
SURE = 64
STAYS = 8.0
"""A shape that was found is given up only when a line is likelier by more than the rest."""
Point = tuple[int, float, float, float]
"""Rows, mean seconds, weight, squares that no shape explains."""
LARGEST = 256
"""Above that many rows no shape is looked for: buckets are fine enough."""


class Size:
    """Batches of exactly one size."""

    __slots__ = ("mean", "samples", "square")

    MEMORY = 150

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
        "_next_fit",
        "_samples",
        "_sizes",
        "_soonest",
        "bent",
        "fixed",
        "knee",
        "row",
        "steep",
        "step",
    )

    def __init__(self) -> None:
        self.fixed = 0.0
        self.row = 0.0
        self.step = 1
        self.knee = 0
        """0: none."""
        self.steep = 0.0
        self.bent = False
        """Whether a knee is known to be there, and only its place is asked for."""
        self._sizes: dict[int, Size] = {}
        self._samples = 0
        self._next_fit = 12
        self._soonest = 8

    def learn(self, rows: float, seconds: float, surprising: bool) -> bool:
        """True when the shape was drawn anew; that is now when a batch took surprisingly long."""
        if rows > LARGEST:
            return False
        self._samples += 1
        number = max(1, round(rows))
        size = self._sizes.get(number)
        if size is None:
            size = self._sizes[number] = Size()
        size.learn(seconds)
        if self._samples < self._next_fit and not (self._samples > self._soonest and surprising):
            return False
        self._soonest = self._samples + 4
        self._next_fit = self._samples + max(4, min(64, self._samples // 4))
        self._fit()
        return True

    def forget(self, least: int, most: int) -> None:
        """Drops what was learned of sizes from `least` to `most`."""
        for number in [n for n in self._sizes if least <= n <= most]:
            del self._sizes[number]

    @property
    def sure(self) -> bool:
        """Whether enough was seen of enough sizes that a knee would show."""
        return self._samples >= SURE and len(self._sizes) >= 8

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

    def _fit(self) -> None:
        # Relative errors count: the noise of a batch grows with its length.
        points: list[Point] = [
            (
                n,
                size.mean,
                size.samples / (size.mean * size.mean),
                size.samples * size.square / (size.mean**2),
            )
            for n, size in sorted(self._sizes.items())
            if size.mean > 0
        ]
        if len(points) < 3:
            return
        total = sum(self._sizes[n].samples for n, _, _, _ in points)
        within = sum(point[3] for point in points) + 1e-5 * total

        def score(rest: float, parameters: int) -> float:
            return float(total * log((within + max(0.0, rest)) / total) + parameters * log(total))

        fixed, row, rest = _line([(n, y, w) for n, y, w, _ in points])
        best = score(rest, 2) - SHARPER
        had_step, had_knee = self.step, self.knee
        self.fixed, self.row, self.step, self.knee, self.steep = fixed, row, 1, 0, 0.0
        largest = points[-1][0]
        for step in STEPS:
            if step > 2 * largest:
                break
            fixed, row, rest = _line([(-(-n // step) * step, y, w) for n, y, w, _ in points])
            value = score(rest, 3) - (STAYS if step == had_step else 0.0)
            if value < best:
                best = value
                self.fixed, self.row, self.step = fixed, row, step
        if len(points) > 3:
            sizes = [point[0] for point in points]
            place = min(range(1, len(points) - 1), key=lambda at: _bent(points, sizes[at])[3])
            around = range(max(2, sizes[place - 1] + 1), sizes[place + 1])
            bent = {knee: _bent(points, knee) for knee in around if knee >= sizes[1]}
            knee = min(bent, key=lambda at: bent[at][3])
            fixed, row, steep, rest = bent[knee]
            bonus = SHARPER if self.bent else STAYS if had_knee else 0.0
            if score(rest, 4) - bonus < best and steep > 0:
                self.fixed, self.row, self.step, self.knee, self.steep = fixed, row, 1, knee, steep


def _bent(points: list[Point], knee: int) -> tuple[float, float, float, float]:
    """(fixed, row, steep, weighted squares left): the line up to the knee, then one from its end."""
    fixed, row, rest = _line([(n, y, w) for n, y, w, _ in points if n <= knee])
    at_knee = fixed + row * knee
    above = squares = left = 0.0
    for n, y, w, _ in points:
        if n > knee:
            above += w * (n - knee) * (y - at_knee)
            squares += w * (n - knee) ** 2
    slope = above / squares
    for n, y, w, _ in points:
        if n > knee:
            off = y - at_knee - slope * (n - knee)
            left += w * off * off
    return fixed, row, slope - row, rest + left


def _line(points: list[tuple[int, float, float]]) -> tuple[float, float, float]:
    """(fixed, row, weighted squares left) of the best line with row >= 0 and fixed >= 0."""
    sw = sx = sy = sxx = sxy = syy = 0.0
    for x, y, w in points:
        wx = w * x
        sw += w
        sx += wx
        sy += w * y
        sxx += wx * x
        sxy += wx * y
        syy += w * y * y
    spread = sw * sxx - sx * sx
    row = (sw * sxy - sx * sy) / spread if spread > 1e-12 * sw * sxx else 0.0
    row = max(0.0, row)
    fixed = (sy - row * sx) / sw
    if fixed < 0:
        fixed, row = 0.0, sxy / sxx
    rest = syy - 2 * fixed * sy - 2 * row * sxy + fixed * fixed * sw + 2 * fixed * row * sx + row * row * sxx
    return fixed, row, rest
