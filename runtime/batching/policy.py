"""The learned policy: batches leave when that is soonest for everybody, as far as the last batches tell.

It rests on two things learned on the way: how long a batch of n rows takes (`service_times`), and how soon
callers that have their answer call again (`returns`). Why each rule is there, and what it reaches:
docs/09-batching.md.
"""

from __future__ import annotations

from collections import deque
from math import ceil, inf
from typing import Any

from .decision import Decision, Queue, fitting
from .groups import Groups
from .parts import part_of
from .probes import Probes
from .returns import Returns
from .service_times import ServiceTimes

MIN_BATCHES = 8
"""Nobody is refused at arrival on less knowledge than this."""
_NOTHING = Decision()
APART = 1.05
"""Waiting for callers must be better than sending two batches by that factor."""
SHORTER = 0.95
"""Rows are shared out among idle workers when that makes the batch at least 5 % shorter."""
AS_GOOD = 0.97
"""A smaller batch is as productive as a larger one when it does that part of its rows a second."""
GROWS = 2
"""Under load no batch is that many times larger than any before: a first one past a knee leaves a backlog."""
STRIDE = 0.25
"""Nor larger than any before by more than that part of `max_rows`, if that is more."""
BUSY = 0.7
"""Load is when that part of the rows that can be done at the best size tried arrives."""
LONGEST_HOLD = 1.5
"""Nobody is held back longer than that many mean service times."""
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
        self._probes = Probes()
        self._groups = Groups(self._times)
        self._running: deque[float] = deque()
        """Rows of the batches that were sent and are not back, as far as told."""
        self._waiting = 0.0
        self._sure = inf
        """Up to so many may wait without a question."""
        self._full_s = 0.0
        """Service time of a batch at the cap."""
        self._batches = 0
        self._largest = 0.0
        """Rows of the largest batch so far."""
        self._growth = inf
        """The largest batch that may follow."""
        self._last_start = -inf
        self._held: Queue | None = None
        """The queue that is held back until a time, or until so many rows wait."""
        self._held_until = 0.0
        self._held_rows = 0.0
        # Rows that arrived in this span of the latency limit, and in the one before.
        self._span_ends = -inf
        self._span_rows = 0.0
        self._span_before = 0.0
        self._counts = dict.fromkeys(("refused", "shed", "hold", "spread"), 0)

    @property
    def cap(self) -> float:
        """The largest batch worth sending: up to so many wait for one batch only."""
        return min(self._times.cap, self._groups.size)

    # -- what happens

    def on_arrival(self, now: float, rows: int) -> bool:
        """False refuses the request: its answer would come after the latency limit."""
        if now > self._span_ends:
            self._next_span(now)
        waiting = self._waiting + rows
        if waiting > self._sure:
            if self._too_many(rows):
                self._counts["refused"] += 1
                return False
            waiting = self._waiting + rows
        self._waiting = waiting
        self._span_rows += rows
        returns = self._returns  # what `Returns.on_arrival` does, without the call
        returns.arrived += rows
        if now <= returns.until:
            returns.times.append(now)
            returns.totals.append(returns.arrived)
        return True

    def on_complete(self, now: float, rows: int, service_s: float) -> None:
        """A batch of `rows` came back `service_s` seconds after it was sent."""
        self._batches += 1
        self._held = None
        times = self._times
        # The first batch of a worker is warm-up, not its pace; a clock that was set back tells nothing.
        if self._batches > max(1, self.workers) and 0.0 <= service_s < inf:
            times.learn(max(1, rows), service_s)
            self._full_s = times(times.cap)
            if self._batches > MIN_BATCHES and self.max_latency_s < inf:
                self._sure = times.cap
        self._returns.on_answer(now, rows, 0.75 * times.mean_s)
        running = self._running
        self._groups.on_complete(now, rows, self._waiting + sum(running), times.cap, self.workers)
        if rows in running:
            running.remove(rows)
        self._largest = max(self._largest, rows)
        self._growth = self._grown(rows, service_s) if self._largest < times.cap else inf

    def on_cancel(self, now: float, rows: int) -> None:  # noqa: ARG002 - the seam gives the time
        """A waiting request left the queue."""
        self._waiting = max(0.0, self._waiting - rows)

    def _grown(self, rows: int, service_s: float) -> float:
        """The largest batch that may follow."""
        pace = self._times.best_pace
        if pace == 0:  # the first batches are not learned from, but a little they tell
            pace = rows / service_s if service_s > 0 else inf
        busy = self._returns.rate > BUSY * pace * max(1, self.workers)
        return max(GROWS * self._largest, self._largest + STRIDE * self.max_rows) if busy else inf

    def _next_span(self, now: float) -> None:
        limit = self.max_latency_s
        self._span_before = self._span_rows if now <= self._span_ends + limit else 0.0
        self._span_rows = 0.0
        self._span_ends = now + limit

    def _too_many(self, rows: int) -> bool:
        """Whether `rows` more would have their answer after the limit."""
        cap, full_s = self._times.cap, self._full_s
        # Nobody waits longer than the limit: should the count have drifted, this mends it.
        self._waiting = min(self._waiting, self._span_rows + self._span_before)
        waiting = self._waiting + rows
        wait_s = waiting / cap * full_s / max(1, self.workers)
        return waiting > cap and wait_s + full_s * (1 + 2 * self._times.spread) > self.max_latency_s

    # -- what to do

    def decide(self, now: float, queue: Queue, idle: int) -> Decision:
        """Sheds the oldest, sends the oldest, or says when to ask again."""
        length = len(queue)
        if not length:
            return _NOTHING
        rows, limit, oldest = queue.rows, self.max_latency_s, queue[0].arrival
        self._waiting = max(self._waiting, rows)
        room = self._times.cap
        if limit < inf:
            late, room = self._in_time(now, queue, rows)
            if late:
                self._counts["shed"] += late
                self._waiting = max(0.0, self._waiting - sum(queue[place].rows for place in range(late)))
                return Decision(shed=late, reason="latency")
        room = min(room, self._groups.size)
        if room > self._growth < rows:
            room = max(1.0, self._growth)
        if idle <= 0:
            return _NOTHING if limit == inf else Decision(0, 0, max(oldest + limit, now + SHORTEST_WAIT_S))
        if rows < room and self._times.samples:
            until, reason = self._wait(now, queue, room, idle)
            if until:
                return Decision(0, 0, until, reason)
        size, reason = self._size(rows, room, idle, now - oldest)
        number, taken = (length, rows) if size >= rows else fitting(queue, size)
        self._waiting = max(0.0, self._waiting - taken)
        self._running.append(taken)
        if len(self._running) > 2 * max(1, self.workers):  # one that never came back
            self._running.popleft()
        self._last_start = now
        self._held = None
        return Decision(number, 0, None, reason)

    def _in_time(self, now: float, queue: Queue, rows: float) -> tuple[int, float]:
        """(how many of the oldest can no longer be answered within the limit, the most rows to send)."""
        times, limit = self._times, self.max_latency_s
        room = times.cap
        age = now - queue[0].arrival
        margin = 1 + 2 * times.spread
        if age + self._full_s * margin <= limit:
            return 0, room
        size = min(rows, room)
        left = limit - times(size) * margin
        if age <= left:
            return 0, room
        whole, whole_s = size, times(size)
        while size > 1 and age > left:
            half = float(ceil(size / 2))
            if half >= size or (left > 0 and half * whole_s < AS_GOOD * whole * times(half)):
                break
            size = half
            left = limit - times(size) * margin
        if age <= left:
            return 0, size
        if left <= 0:  # not even one row would be in time: only those that have waited that long go
            size, left = room, limit
        late = 0
        while late < len(queue) and now - queue[late].arrival > left:
            late += 1
        return late, size

    def _wait(self, now: float, queue: Queue, room: float, idle: int) -> tuple[float, str]:
        """(until when it is better to send nothing, why); 0: send now."""
        rows, age = queue.rows, now - queue[0].arrival
        if queue is self._held and now < self._held_until and rows < self._held_rows:
            return self._held_until, "hold"
        until = self._hold(now, rows, room, age)
        if until:
            self._counts["hold"] += 1
            self._held, self._held_until = queue, until
            return until, "hold"
        if self.workers > idle:
            until = self._spread(now, rows, age)
            self._counts["spread"] += until > 0
        return until, "spread"

    def _hold(self, now: float, rows: float, room: float, age: float) -> float:
        """Until when to wait for callers that are about to come back; 0: send now."""
        past, expected = self._returns.expected(now)
        if not expected or expected[-1][1] < 0.5:
            return 0.0
        times = self._times
        missing = expected[-1][1]
        back = missing + self._returns.arrived
        both_s = times(rows) + times(missing)
        best = APART * (rows + missing) / both_s if both_s > 0 else inf
        margin = 1 + 2 * times.spread
        longest = min(self.max_latency_s, LONGEST_HOLD * times.mean_s) - age
        hold = 0.0
        for delay, coming in expected:
            wait = delay - past
            if wait > longest:
                break
            n = min(room, rows + coming)
            n_s = times(n)
            if age + wait + n_s * margin > self.max_latency_s:
                break
            if wait >= SHORTEST_WAIT_S:
                together = n / (wait * max(1.0, n / back) + n_s)
                if together > best:
                    best, hold = together, wait
        self._held_rows = min(room, rows + missing - 0.5)
        return now + hold if hold else 0.0

    def _spread(self, now: float, rows: float, age: float) -> float:
        """Until when to wait so that workers do not run in step; 0: send now."""
        times = self._times
        due = self._last_start + times.mean_s / self.workers
        n = times.mean_rows
        wanted = 3 * times.fixed_share(n) * self._returns.rate
        if due <= now or rows >= wanted * (due - now) or age > times.mean_s:
            return 0.0
        until = due - rows / wanted
        wait = until - now
        if wait < SHORTEST_WAIT_S or age + wait + times(n) * (1 + 2 * times.spread) > self.max_latency_s:
            return 0.0
        return until

    def _size(self, rows: float, room: float, idle: int, age: float) -> tuple[float, str]:
        """(rows to send, why)."""
        times = self._times
        if rows >= room:
            probe = self._probes.next(times, room) if room == times.cap else 0
            if probe:
                return probe, "probe"
            return times.shape.rounded(self._part(rows, room, idle)), "full"
        if rows == 1:
            return 1, "idle worker"
        part = self._part(rows, rows, idle)
        if idle >= max(2, self.workers):
            share = ceil(rows / idle)
            if times(share) < SHORTER * times(rows):
                return min(share, part), "shared"
        probe = 0
        if age + 2 * times(rows) < self.max_latency_s:  # the rest must not be late for a probe
            probe = self._probes.smaller(times, rows)
        return (probe, "probe") if probe else (times.shape.rounded(part), "idle worker")

    def _part(self, rows: float, most: float, idle: int) -> float:
        rate = self._returns.steady_rate
        return part_of(rows, most, idle, workers=self.workers, rate=rate, times=self._times)

    def wait_s(self, rows: int) -> float:
        """Seconds until `rows` more would have their answer; 0 while that is not known or one batch does."""
        cap, waiting = self._times.cap, self._waiting + rows
        if waiting <= cap or self._batches <= MIN_BATCHES:
            return 0.0
        return waiting / cap * self._full_s / max(1, self.workers) + self._full_s

    def service_s(self, rows: int) -> float:
        """Seconds that a batch of `rows` takes; 0 while too little is known."""
        return self._times(rows) if self._batches > MIN_BATCHES else 0.0

    def explain(self) -> dict[str, Any]:
        """What was learned and decided so far: plain JSON values, seconds and rows.

        Keys:
            max_rows, max_latency_s: as the user set them; `max_latency_s` is None for no limit.
            workers: that are up.
            cap: rows of the largest batch that is worth sending.
            group: rows of a batch by which the callers of a closed loop are served fastest; None: they are
                not grouped.
            shape: of s(n), in words: `line`, `steps of 8`, `knee at 20`.
            spread: mean relative deviation of a service time from what was expected.
            batches: seen so far.
            service_s: s(n), smallest size first: `{rows, seconds, samples}`.
            waiting: rows that wait now.
            arrival_rate: rows a second, lately.
            expected_returns: delays after an answer by which more callers than usual are back:
                `{delay_s, share}`, share of the rows answered. Empty: nothing is held for them.
            decisions: how often each was made: `{refused, shed, hold, spread, probe}`. A queue that is held
                until some time counts once.
        """
        times, limit = self._times, self.max_latency_s
        return {
            "max_rows": self.max_rows,
            "max_latency_s": None if limit == inf else limit,
            "workers": self.workers,
            "waiting": self._waiting,
            "cap": times.cap,
            "group": None if self._groups.size == inf else self._groups.size,
            "shape": str(times.shape),
            "spread": times.spread,
            "batches": self._batches,
            "service_s": [
                {"rows": rows, "seconds": seconds, "samples": samples}
                for rows, seconds, samples in times.table()
            ],
            "arrival_rate": self._returns.rate,
            "expected_returns": [
                {"delay_s": delay, "share": share} for delay, share in self._returns.table()
            ],
            "decisions": {**self._counts, "probe": self._probes.number},
        }
