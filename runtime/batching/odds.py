"""How likely each of some thousand shapes of s(n) is: what a batch size is chosen by while times are noisy.

A line, steps, a knee, a jump or a curve is fitted sharply by `shape` once times are quiet. With noise the one
that fits best is often wrong; here all stay in the game, each as far as the batches so far allow for it.
"""

from __future__ import annotations

from functools import lru_cache
from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

LINES, STEPS, KNEES, JUMPS, CURVES = 0.3, 0.01, 0.59, 0.01, 0.09
"""How likely each kind is before the first batch; steps that are plain are known to `shape`."""
FIXED = (0.03, 0.15, 0.3, 0.5, 0.7, 0.85, 0.97)
"""Parts of the time of the best batch that do not grow with its rows."""
FIXED_OF_LINES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
SLOPES = (1.25, 1.7, 2.3, 3.2, 4.5, 7.0)
"""A row past the knee takes so many times the average of those up to it."""
HEIGHTS = (1.3, 1.8, 3.0)
"""A batch past a jump takes so many times as long."""
WIDTHS = (2, 4, 8, 16, 32, 64, 128)
BOTTOMS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3)
"""Sizes from which a curve bends up, as parts of the largest."""
LEAST, MOST = 4, 128
"""The largest batch for which shapes are weighed: of fewer there is nothing to choose, of more too many."""
CLOSE, RATIO = 64, 1.05
"""Every size up to `CLOSE` may be a knee, then each so many times the one before."""
NOISE, NOISE_BATCHES = 0.06, 4.0
"""The noise supposed before the first batch, and the batches that this counts for."""
TRUST = 30.0
"""A size's further batches count half after so many: no shape is true to the last per cent."""
MEMORY = 3000
"""Batches after which all that is known counts half: models change."""
UNLIKELY = 9.0
"""Shapes less likely than the likeliest by that power of e are left out."""


class Shapes(NamedTuple):
    """One row a shape, one column a size from 1 on."""

    logs: Floats
    """Log of the seconds, up to a constant."""
    worth: Floats
    """Rows a second as a part of the most that the shape allows."""
    best: NDArray[np.intp]
    """The largest of the sizes that do most rows a second; 1 where all do."""
    prior: Floats
    """Log of how likely it is before the first batch."""


@lru_cache(maxsize=8)  # for those that are used now; whoever uses one keeps it
def shapes(most: int) -> Shapes:
    """All shapes for sizes up to `most`, at least 3; about 4,200 for 64."""
    n = np.arange(1.0, most + 1)
    places = [float(at) for at in range(2, min(most, CLOSE + 1))]
    while places[-1] * RATIO < most - 1:
        places.append(float(round(places[-1] * RATIO)))
    knee = np.array(places)[:, None, None, None]
    fixed, slope = np.array(FIXED)[:, None, None], np.array(SLOPES)[:, None]
    height, part = np.array(HEIGHTS)[:, None], np.array(FIXED_OF_LINES)[:, None]
    widths = [width for width in WIDTHS if width <= most]
    whole = np.stack([np.ceil(n / width) * width for width in widths])[:, None, :]
    bottom = most * np.array(BOTTOMS)[:, None, None]
    kinds = (
        (LINES, part + (1 - part) * n / most),
        (STEPS, part + (1 - part) * whole / most),
        (KNEES, np.where(n <= knee, fixed + (1 - fixed) * n / knee, 1 + slope * (n / knee - 1))),
        (JUMPS, (fixed + (1 - fixed) * n / knee) * np.where(n > knee, height, 1.0)),
        (CURVES, part[1:] * (1 + (n / bottom) ** 2) + (1 - part[1:]) * n / most),
    )
    tables = [np.broadcast_to(table, (*table.shape[:-1], most)).reshape(-1, most) for _, table in kinds]
    seconds = np.concatenate(tables)
    worth = n / seconds
    worth /= worth.max(axis=1, keepdims=True)
    best = most - np.argmax(worth[:, ::-1] > 1 - 1e-9, axis=1)
    best[worth[:, 0] > 1 - 1e-3] = 1
    prior = np.concatenate(
        [
            np.full(len(table), log(weight / len(table)))
            for (weight, _), table in zip(kinds, tables, strict=True)
        ]
    )
    return Shapes(np.asfortranarray(np.log(seconds)), worth, best, prior)


class Odds:
    """Counts batches of sizes up to `most`, and weighs the shapes when it is asked."""

    __slots__ = (
        "_asked",
        "_batches",
        "_fresh",
        "_likely",
        "_noise",
        "_off",
        "_off2",
        "_scale",
        "_seen",
        "_table",
        "_weights",
        "most",
    )

    def __init__(self, most: int) -> None:
        self.most = most
        self._table: Shapes | None = None
        """Made in some 20 ms when it is wanted first: not while times are quiet."""
        self._fresh: dict[int, tuple[int, float, float]] = {}
        """Of each size since the shapes were weighed: (batches, sum of the log seconds, of their squares)."""
        self._seen: dict[int, float] = {}
        """Batches of each size before."""
        self._scale: float | None = None
        """Log seconds of the first batch: all others are taken beside it."""
        self._batches = 0.0
        """Batches that count."""
        self._off: Floats = np.zeros(0)
        """Of each shape: sum of what the log seconds are above it."""
        self._off2: Floats = np.zeros(0)
        """And of the squares."""
        self._likely: NDArray[np.intp] = np.zeros(0, np.intp)
        """The shapes that are not unlikely."""
        self._weights: Floats = np.zeros(0)
        """How likely each of them is."""
        self._noise = 0.0
        """Mean squared deviation of the log seconds."""
        self._asked = 0
        """What `telling` answered since; 0: nothing yet."""

    def learn(self, rows: float, seconds: float) -> None:
        """A batch of that many rows took that long."""
        size = round(rows)
        if not 1 <= size <= self.most or seconds <= 0:
            return
        value = log(seconds)
        if self._scale is None:
            self._scale = value
        value -= self._scale
        number, total, squares = self._fresh.get(size, (0, 0.0, 0.0))
        self._fresh[size] = (number + 1, total + value, squares + value * value)

    def weigh(self) -> int:
        """The size that does most rows a second on average over all shapes; `most` while nothing is known."""
        if not self._fresh and not self._batches:
            return self.most
        table = self._table
        if table is None:
            self._table = table = shapes(self.most)
            self._off, self._off2 = np.zeros(len(table.prior)), np.zeros(len(table.prior))
        for size, (number, total, squares) in self._fresh.items():
            seen = self._seen.get(size, 0.0)
            self._seen[size] = seen + number
            mean, weight = total / number, number * TRUST / (TRUST + seen)
            above = mean - table.logs[:, size - 1]
            self._batches += weight
            self._off += weight * above
            self._off2 += weight * (above * above + max(0.0, squares / number - mean * mean))
        self._fresh.clear()
        if sum(self._seen.values()) > MEMORY:
            self._fade()
        batches = self._batches
        # What each shape leaves unexplained: its constant is fitted, the noise is unknown.
        left = np.maximum(self._off2 - self._off * self._off / batches, 0.0)
        score = table.prior - 0.5 * (batches - 1 + NOISE_BATCHES) * np.log(left + NOISE_BATCHES * NOISE**2)
        self._likely = likely = np.flatnonzero(score > score.max() - UNLIKELY)
        weights = np.exp(score[likely] - score.max())
        self._weights = weights = weights / weights.sum()
        self._noise = float(weights @ left[likely]) / max(batches, 1.0) + 1e-4
        self._asked = 0
        worth = weights @ table.worth[likely]
        return self.most - int(np.argmax(worth[::-1]))

    def telling(self) -> int:
        """The size that tells most of which size is best, for what it costs; 0 while nothing is known.

        It has the least ratio of the squared rows a second given away to what is learned: the part of the
        variance of its log seconds that comes from not knowing the best size (Russo and Van Roy, "Learning to
        optimize via information-directed sampling").
        """
        likely, weights, table = self._likely, self._weights, self._table
        if table is None:
            return 0
        if not self._asked:
            best = table.best[likely]
            order = np.argsort(best, kind="stable")
            starts = np.flatnonzero(np.diff(best[order], prepend=-1))
            expected = table.logs[likely] + (self._off[likely] / self._batches)[:, None]
            share = np.add.reduceat(weights[order], starts)
            means = np.add.reduceat((weights[:, None] * expected)[order], starts, axis=0) / share[:, None]
            told = share @ (means - share @ means) ** 2
            given = 1 - weights @ table.worth[likely]
            self._asked = 1 + int(np.argmin(given * given / (told / (told + self._noise) + 1e-9)))
        return self._asked

    def _fade(self) -> None:
        self._seen = {size: seen / 2 for size, seen in self._seen.items()}
        self._batches /= 2
        self._off /= 2
        self._off2 /= 2
