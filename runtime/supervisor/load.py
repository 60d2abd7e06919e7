"""What the workers of a runner had to do between two looks at the counters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """The counters of one runner at one time, over all API processes; all but three only ever grow."""

    at: float
    """Seconds, of any clock that does not jump."""
    workers: int
    """Warm now."""
    waiting: float
    """Rows that wait for a worker now."""
    calls: float
    """Calls that have left the queue for a worker."""
    waited_s: float
    """Seconds that they had waited, in all."""
    batches: float
    """Batches that were computed."""
    rows: float
    """Rows in them."""
    room: float
    """Rows that they had room for."""
    busy_s: float
    """Seconds that computing them took, in all."""
    refused: float
    """Calls refused or dropped for want of capacity."""


@dataclass(frozen=True)
class Load:
    """Means over the time between two samples. What nothing happened to measure by is 0."""

    seconds: float
    workers: int
    waiting: float
    """Rows that wait at the end."""
    busy: float
    """Share of the workers' time spent in the model: 0 to 1. A batch counts when it ends."""
    wait_s: float
    """Of a call, until its batch left."""
    batch_s: float
    """Of a batch, in the model."""
    batch_rows: float
    fill: float
    """Rows of a batch as a share of what it had room for."""
    rows_a_second: float
    rows_a_busy_second: float
    """What one worker does when it does nothing else, in batches of this fill."""
    refused: float

    @classmethod
    def between(cls, earlier: Sample, later: Sample) -> Load:
        seconds = later.at - earlier.at
        calls, batches = later.calls - earlier.calls, later.batches - earlier.batches
        rows, busy_s = later.rows - earlier.rows, later.busy_s - earlier.busy_s
        # Batches that a worker joined report their time once each: the sum may be more than there is.
        return cls(
            seconds=seconds,
            workers=later.workers,
            waiting=later.waiting,
            busy=min(1.0, _share(busy_s, seconds * later.workers)),
            wait_s=_share(later.waited_s - earlier.waited_s, calls),
            batch_s=_share(busy_s, batches),
            batch_rows=_share(rows, batches),
            fill=_share(rows, later.room - earlier.room),
            rows_a_second=_share(rows, seconds),
            rows_a_busy_second=_share(rows, busy_s),
            refused=later.refused - earlier.refused,
        )

    def __str__(self) -> str:
        """For the log."""
        parts = [f"busy {self.busy:.0%}"]
        if self.batch_s:
            parts.append(
                f"calls waited {_ms(self.wait_s)} for batches of {_ms(self.batch_s)}, {self.fill:.0%} full"
            )
        if self.waiting:
            parts.append(f"{self.waiting:.0f} rows waiting")
        if self.refused:
            parts.append(f"{self.refused:.0f} calls refused")
        return ", ".join(parts)


class Pace:
    """What a batch of n rows takes, as a line through the loads that were seen; old ones fade."""

    _FADE = 0.99
    """Of a look: one a second is half forgotten after a minute."""
    _SPREAD = 0.1
    """Batches must have differed in size by so much of their mean, or they tell nothing of other sizes."""

    def __init__(self) -> None:
        self._weight = self._n = self._s = self._nn = self._ns = 0.0

    def learn(self, rows: float, seconds: float) -> None:
        """Takes in batches of so many rows, in the mean, that took so long."""
        for name, more in (
            ("_weight", 1.0),
            ("_n", rows),
            ("_s", seconds),
            ("_nn", rows**2),
            ("_ns", rows * seconds),
        ):
            setattr(self, name, getattr(self, name) * self._FADE + more)

    def seconds(self, rows: float) -> float | None:
        """What a batch of so many rows would take; None while batches were too alike to tell."""
        if not self._weight:
            return None
        n, s = self._n / self._weight, self._s / self._weight
        spread = self._nn / self._weight - n * n
        if spread < (self._SPREAD * n) ** 2:
            return None
        slope = max(0.0, (self._ns / self._weight - n * s) / spread)
        return max(0.0, s - slope * n) + slope * rows


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
