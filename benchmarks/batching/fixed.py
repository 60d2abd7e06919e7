"""Fixed policies, the yardstick where no exact optimum is known: caps, thresholds, windows."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ...runtime.batching.decision import Decision, Queue


@dataclass
class Fixed:
    """Sends up to `cap` rows once `least` wait or the oldest has waited `window_s`; learns nothing."""

    cap: int
    least: int = 1
    window_s: float = inf
    """For how long `least` is waited for."""
    workers: int = 1
    split: bool = False
    """Whether what waits is shared out when several workers are idle."""
    apart: int = 0
    """Least rows while another worker is busy; 0: `least`."""

    def on_arrival(self, now: float, rows: int) -> bool:  # noqa: ARG002
        return True

    def on_complete(self, now: float, rows: int, service_s: float) -> None:  # noqa: ARG002
        return None

    def on_cancel(self, now: float, rows: int) -> None:  # noqa: ARG002
        return None

    def decide(self, now: float, queue: Queue, idle: int) -> Decision:
        if not idle:
            return Decision()
        least = self.apart if self.apart and idle < self.workers else self.least
        due = queue[0].arrival + self.window_s
        if len(queue) < least and now < due:
            return Decision(wake_at=due)
        share = -(-len(queue) // idle) if self.split else len(queue)
        return Decision(min(share, self.cap))


@dataclass
class Table:
    """Sends `sizes[waiting]` rows, 0 to wait: what `optimum` computes for one worker."""

    sizes: list[int]

    def on_arrival(self, now: float, rows: int) -> bool:  # noqa: ARG002
        return True

    def on_complete(self, now: float, rows: int, service_s: float) -> None:  # noqa: ARG002
        return None

    def decide(self, now: float, queue: Queue, idle: int) -> Decision:
        if not idle:
            return Decision()
        size = self.sizes[min(len(queue), len(self.sizes) - 1)]
        return Decision(size) if size else Decision(wake_at=now + 1e9)
