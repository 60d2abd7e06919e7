"""How many workers a runner should have: the decision, without clock and without I/O.

More workers, when those there are cannot keep up for a few seconds:

- calls were refused for want of capacity, or
- calls wait longer than 1.5 batches take: a worker that keeps up takes all that waits with the next batch, or
- batches are mostly full and the workers are busy all the time: there is nothing left to batch.

A busy worker with small batches is no reason: more load makes its batches larger, not later.

Fewer workers, when for a quiet time the load would have fitted into fewer with room to spare. What a worker
can do is measured while it is saturated, in rows a busy second, and guessed from its batches before that.

Against swinging to and fro: the two conditions lie apart (fewer must leave each below 60 % busy, more needs
75 %); growing waits until the last ones are warm and their effect is seen; when more workers brought nothing,
because the cores are used up, the number stays for a while; shrinking halves at most, and takes longer each
time it was wrong.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from .load import Load, Pace, Sample

SAMPLE_S = 1.0
"""Time between samples that the numbers below are meant for."""
WINDOW_S = 3.0
"""A load is judged over so long, in seconds."""
HOT_S = 2.0
"""More workers come when it was too much for so long; at once when calls were refused or wait for long."""
QUIET_S = 60.0
MAX_QUIET_S = 960.0
"""Fewer workers come when that many were too many for so long: the first, and the longest after mistakes."""
RELAPSE_S = 300.0
"""Growing again within this time after shrinking says that the shrinking was wrong."""
USELESS_S = 120.0
"""After more workers brought nothing, the number stays for so long."""
FAILED_S = 600.0
"""After one did not start, no more are asked for for so long."""

BUSY = 0.75
SPENT = 0.9
"""Busy all the time, but for the gaps between batches."""
ROOMY = 0.6
"""Fewer workers may be this busy at most."""
LATE = 1.5
VERY_LATE = 4.0
"""How many batches a call waits for."""
WORTH_S = 0.005
"""A shorter wait is no reason to start a process."""
FULL = 0.6
GAIN = 0.25
"""Twice the workers should bring this much more throughput, or they brought nothing."""

Reason = Literal["refused", "late", "full", "quiet"]


@dataclass(frozen=True)
class Decision:
    workers: int
    """To have from now on."""
    reason: Reason
    load: Load
    """What it was decided by."""


@dataclass(frozen=True)
class _Growth:
    """The last time there were more: from how many, at which throughput."""

    workers: int
    rows_a_second: float


class Autoscaler:
    """Decides for one runner.

    Args:
        least: workers, 1 or more.
        most: workers, `least` or more.
        workers: that there are now, or will be as soon as they are warm.
        cap: rows of a full batch.
    """

    def __init__(self, least: int, most: int, *, workers: int, cap: int) -> None:
        self.least = least
        self.most = most
        self.workers = workers
        """What was decided last."""
        self._cap = cap
        self._samples: deque[Sample] = deque()
        self._hot_since: float | None = None
        self._quiet_since: float | None = None
        self._quiet_s = QUIET_S
        self._needed = 0.0
        """The most workers' work that was seen during the quiet time."""
        self._capacity = 0.0
        """Rows a busy second of a worker: the best that was seen, or what a saturated one did last."""
        self._measured = False
        """A saturated one was seen."""
        self._pace = Pace()
        self._growth: _Growth | None = None
        self._useless_until = -math.inf
        self._shrunk_at = -math.inf

    def decide(self, sample: Sample) -> Decision | None:
        """Takes in what was counted; None: leave the number as it is."""
        if sample.workers < self.workers:  # some are still starting: what is measured now will not last
            self._forget()
            return None
        self._samples.append(sample)
        while len(self._samples) > 1 and self._samples[1].at <= sample.at - WINDOW_S:
            self._samples.popleft()
        if sample.at - self._samples[0].at < WINDOW_S:
            return None
        load = Load.between(self._samples[0], sample)
        reason = self._too_much(load)
        if reason is not None:
            self._quiet_since = None
            return self._grow(sample.at, load, reason)
        self._hot_since = None
        self._capacity = max(self._capacity, load.rows_a_busy_second)
        if load.batch_s:
            self._pace.learn(load.batch_rows, load.batch_s)
        return self._shrink(sample.at, load)

    def give_up(self, workers: int, now: float) -> None:
        """Those beyond so many cannot be had: a new one does not start. Asks for no more for a while."""
        self.workers = workers
        self._growth, self._useless_until = None, now + FAILED_S
        self._forget()

    def _too_much(self, load: Load) -> Reason | None:
        if not load.batch_s:  # a batch takes longer than the window, or there is none
            return "late" if load.waiting >= self._cap else None
        if load.busy < BUSY:
            return None
        if load.refused:
            return "refused"
        if load.wait_s > max(WORTH_S, LATE * load.batch_s):
            return "late"
        return "full" if load.fill >= FULL and load.busy >= SPENT else None

    def _grow(self, now: float, load: Load, reason: Reason) -> Decision | None:
        if load.fill >= FULL:
            self._capacity, self._measured = load.rows_a_busy_second, True
        self._hot_since = now if self._hot_since is None else self._hot_since
        severe = reason == "refused" or load.wait_s > max(WORTH_S, VERY_LATE * load.batch_s)
        if not severe and now - self._hot_since < HOT_S:
            return None
        if self.workers >= self.most or now < self._useless_until or not self._last_growth_helped(now, load):
            return None
        if now - self._shrunk_at < RELAPSE_S:
            self._quiet_s = min(MAX_QUIET_S, self._quiet_s * 2)
            self._shrunk_at = -math.inf
        self._growth = _Growth(self.workers, load.rows_a_second)
        return self._decided(min(self.most, self.workers * 2 if severe else self.workers + 1), reason, load)

    def _last_growth_helped(self, now: float, load: Load) -> bool:
        """Both times the workers had more than they could do, so the two throughputs are what they can do."""
        grown, self._growth = self._growth, None
        if grown is None or not grown.rows_a_second:
            return True
        share = GAIN * (self.workers - grown.workers) / grown.workers
        if load.rows_a_second >= grown.rows_a_second * (1 + share):
            return True
        self._useless_until = now + USELESS_S
        return False

    def _shrink(self, now: float, load: Load) -> Decision | None:
        self._growth = None  # they keep up now
        needed = load.rows_a_second / self._can_do() if load.rows_a_second else 0.0
        enough = max(self.least, math.ceil(needed / ROOMY))
        waits = bool(load.waiting) and not load.batch_s
        if enough >= self.workers or waits or load.refused:
            self._quiet_since = None
            return None
        if self._quiet_since is None:
            self._quiet_since, self._needed = now, 0.0
        self._needed = max(self._needed, needed)
        if now - self._quiet_since < self._quiet_s:
            return None
        self._shrunk_at = now
        enough = max(self.least, math.ceil(self._needed / ROOMY), math.ceil(self.workers / 2))
        return self._decided(enough, "quiet", load)

    def _can_do(self) -> float:
        """Rows a second of one worker in full batches."""
        full_s = None if self._measured else self._pace.seconds(self._cap)
        return max(self._capacity, self._cap / full_s if full_s else 0.0)

    def _decided(self, workers: int, reason: Reason, load: Load) -> Decision:
        self.workers = workers
        self._forget()
        return Decision(workers, reason, load)

    def _forget(self) -> None:
        """What was measured so far was measured of another number of workers."""
        self._samples.clear()
        self._hot_since = self._quiet_since = None
