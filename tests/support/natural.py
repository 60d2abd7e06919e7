"""A policy without surprises, so that tests of the dispatcher know which batches leave when."""

from __future__ import annotations

from math import inf

from tiffin.runtime.batching.decision import Decision, Queue, fitting
from tiffin.runtime.batching.policy import AdaptivePolicy


class Natural(AdaptivePolicy):
    """A worker is idle: what waits goes, up to the cap. Learns and refuses as the learned policy does."""

    def decide(self, now: float, queue: Queue, idle: int) -> Decision:
        limit = self.max_latency_s
        late = sum(now - queue[place].arrival > limit for place in range(len(queue)))
        if late:
            self.on_cancel(now, sum(queue[place].rows for place in range(late)))
            return Decision(shed=late)
        if not idle:
            return Decision(wake_at=queue[0].arrival + limit if limit < inf else None)
        number, rows = fitting(queue, self.max_rows)
        self.on_cancel(now, rows)
        full = rows >= self.max_rows or number < len(queue)
        return Decision(number, reason="full" if full else "idle worker")
