"""The learned policy: batches leave when that is soonest for everybody, as far as the last batches tell.

It rests on two things learned on the way: how long a batch of n rows takes (`service_times`), and how soon
callers that have their answer call again (`returns`). Why each rule is there, and what it reaches:
docs/09-batching.md.
"""

from __future__ import annotations

from math import ceil, inf
from typing import Any

from .policy import Decision, Queue
from .returns import Returns
from .service_times import ServiceTimes

MIN_BATCHES = 8
"""Nobody is refused at arrival on less knowledge than this."""
APART = 1.05
"""Waiting for callers must be better than sending two batches by that factor."""
SHORTER = 0.95
"""Rows are shared out among idle workers when that makes the batch at least 5 % shorter."""
PROBES = (0.75, 1.25, 0.88, 1.12)
"""Sizes to try, as parts of the cap."""
GOES_ON = 0.7
"""Half a batch that does that many of the rows a second of the whole: try a quarter as well."""
SURE = 4
FIRST_GAP, LONGEST_GAP = 8, 512
"""Full batches from one probe to the next; the gap doubles after `SURE` probes, and more when times are noisy."""
SHORTEST_WAIT_S = 20e-6
"""Shorter waits are not worth a timer."""


class AdaptivePolicy:
    """One instance a method; times are seconds of one monotonic clock, sizes are rows or any other weight.

    Args:
        max_rows: cap of a batch; a request above it goes alone.
        max_latency_s: longest that a row may spend here, its batch included; who would take longer is
            refused. `inf`: no limit.
        workers: workers of the runner; the dispatcher keeps the attribute current.
    """

    def __init__(self, max_rows: int, max_latency_s: float, workers: int) -> None:
        self.max_rows = max_rows
        self.max_latency_s = max_latency_s
        self.workers = workers
        self._times = ServiceTimes(max_rows)
        self._returns = Returns()
        self._waiting = 0.0
        self._batches = 0
        self._last_start = -inf
        self._capped = 0
        """Batches so far that could have held more rows."""
        self._probe_gap = FIRST_GAP
        self._next_probe = FIRST_GAP
        self._probes = 0
        self._held: Queue | None = None
        """The queue that is held back until a time, or until so many rows wait."""
        self._held_until = 0.0
        self._held_rows = 0.0
        self._counts = dict.fromkeys(("refused", "shed", "hold", "spread", "probe"), 0)

    # -- what happens

    def on_arrival(self, now: float, rows: int) -> bool:
        """False refuses the request: its answer would come after the latency limit."""
        waiting = self._waiting + rows
        times = self._times
        cap = times.cap
        if waiting > cap and self._batches > MIN_BATCHES:
            full_s = times(cap)
            if waiting / cap * full_s / max(1, self.workers) + full_s > self.max_latency_s:
                self._counts["refused"] += 1
                return False
        self._waiting = waiting
        self._returns.on_arrival(now, rows)
        return True

    def on_complete(self, now: float, rows: int, service_s: float) -> None:
        """A batch of `rows` came back `service_s` seconds after it was sent."""
        self._batches += 1
        self._held = None
        if self._batches > max(1, self.workers):  # the first batch of a worker is warm-up, not its pace
            self._times.learn(rows, service_s)
        self._returns.on_answer(now, rows, 0.75 * self._times.mean_s)

    def on_cancel(self, now: float, rows: int) -> None:  # noqa: ARG002 - the seam gives the time
        """A waiting request left the queue."""
        self._waiting = max(0.0, self._waiting - rows)

    # -- what to do

    def decide(self, now: float, queue: Queue, idle: int) -> Decision:
        """Sheds the oldest, sends the oldest, or says when to ask again."""
        if not len(queue):
            return Decision()
        rows, oldest = queue.rows, queue[0].arrival
        self._waiting = max(self._waiting, rows)
        limit = self.max_latency_s
        age = now - oldest
        if age > 0:
            late = self._late(now, queue, rows)
            if late:
                return self._shed(queue, late)
        if idle <= 0:
            return Decision(wake_at=oldest + limit if limit < inf else None)
        if queue is self._held and now < self._held_until and rows < self._held_rows:
            return Decision(wake_at=self._held_until, reason="hold")
        times = self._times
        room = times.cap
        if rows >= room:
            probe = self._probe(room)
            if probe:
                return self._send(now, queue, probe, "probe")
            return self._send(now, queue, times.shape.rounded(int(room)), "full")
        if not times.samples:
            return self._send(now, queue, room, "idle worker")
        wake = self._hold(now, rows, room, limit - age)
        if wake:
            self._counts["hold"] += 1
            self._held, self._held_until = queue, wake
            return Decision(wake_at=wake, reason="hold")
        if self.workers > idle:
            wake = self._spread(now, rows, limit - age)
            if wake:
                self._counts["spread"] += 1
                return Decision(wake_at=wake, reason="spread")
        elif idle > 1:
            share = ceil(rows / idle)
            if times(share) < SHORTER * times(rows):
                return self._send(now, queue, share, "shared")
        return self._send(now, queue, times.shape.rounded(int(rows)), "idle worker")

    def _late(self, now: float, queue: Queue, rows: float) -> int:
        """How many of the oldest can no longer be answered within the limit."""
        times, limit = self._times, self.max_latency_s
        if limit == inf:
            return 0
        room = min(rows, times.cap)
        left = limit - times(room) * (1 + times.spread)
        if now - queue[0].arrival <= left:
            return 0
        if left <= 0:  # a smaller batch must do
            room = 1
            left = limit - times(room) * (1 + times.spread)
            if left <= 0:
                left = limit
        late = 0
        while late < len(queue) and now - queue[late].arrival > left:
            late += 1
        return late

    def _shed(self, queue: Queue, number: int) -> Decision:
        self._counts["shed"] += number
        self._waiting -= sum(queue[place].rows for place in range(number))
        return Decision(shed=number, reason="latency")

    def _send(self, now: float, queue: Queue, room: float, reason: str) -> Decision:
        number, rows = _fitting(queue, room)
        self._waiting = max(0.0, self._waiting - rows)
        self._last_start = now
        self._held = None
        return Decision(number, reason=reason)

    def _probe(self, room: float) -> int:
        """Another batch size to try, when it is time to; 0: none."""
        self._capped += 1
        times = self._times
        size = room
        while size >= 2:  # halve it as long as that costs little: beyond a knee it gains
            half = size // 2
            tried = times.tried(half)
            if tried < 2:
                if self._capped % (tried + 2):
                    break
                self._counts["probe"] += 1
                return int(half)
            if half * times(size) < GOES_ON * size * times(half):
                break
            size = half
        if self._capped < self._next_probe:
            return 0
        self._counts["probe"] += 1
        self._probes += 1
        if self._probes > SURE + (times.spread / 0.05) ** 2:
            self._probe_gap = min(2 * self._probe_gap, LONGEST_GAP)
        self._next_probe = self._capped + self._probe_gap
        size = room * PROBES[self._probes % len(PROBES)]
        if size > self.max_rows:
            size = room * 0.75
        return max(1, round(size))

    def _hold(self, now: float, rows: float, room: float, left_s: float) -> float:
        """Until when to wait for callers that are about to come back; 0: send now."""
        expected = self._returns.expected(now)
        if not expected:
            return 0.0
        times = self._times
        missing = expected[-1].rows
        if missing < 0.5:
            return 0.0
        both_s = times(rows) + times(missing)
        best = APART * (rows + missing) / both_s if both_s > 0 else inf
        wait = 0.0
        margin = 1 + 2 * times.spread
        back = expected[-1].rows + self._returns.arrived
        for step in expected:
            n = min(room, rows + step.rows)
            n_s = times(n)
            if step.wait_s + n_s * margin > left_s:
                break
            if step.wait_s < SHORTEST_WAIT_S:
                continue
            together = n / (step.wait_s * max(1.0, n / back) + n_s)
            if together > best:
                best, wait = together, step.wait_s
        self._held_rows = min(room, rows + missing - 0.5)
        return now + wait if wait else 0.0

    def _spread(self, now: float, rows: float, left_s: float) -> float:
        """Until when to wait so that workers do not run in step; 0: send now."""
        times = self._times
        due = self._last_start + times.mean_s / self.workers
        if due <= now:
            return 0.0
        n = times.mean_rows
        n_s = times(n)
        factor = 2 - times(2 * n) / n_s if n_s > 0 else 0.0
        wanted = 3 * factor * self._returns.rate
        if rows >= wanted * (due - now):
            return 0.0
        wake = due - rows / wanted
        wait = wake - now
        if wait < SHORTEST_WAIT_S or wait + n_s * (1 + 2 * times.spread) > left_s:
            return 0.0
        return wake

    def explain(self) -> dict[str, Any]:
        """What was learned, for people."""
        return {
            "cap": self._times.cap,
            "spread": self._times.spread,
            "service_s": [
                {"rows": rows, "seconds": seconds, "samples": samples}
                for rows, seconds, samples in self._times.table()
            ],
            "arrival_rate": self._returns.rate,
            "counts": dict(self._counts),
        }


def _fitting(queue: Queue, room: float) -> tuple[int, float]:
    """(requests, rows) of the longest head of the queue within `room`; one that is larger goes alone."""
    length = len(queue)
    if queue.rows == length:  # one row each
        number = max(1, min(length, int(room)))
        return number, number
    number, rows = 1, queue[0].rows
    while number < length and rows + queue[number].rows <= room:
        rows += queue[number].rows
        number += 1
    return number, rows
