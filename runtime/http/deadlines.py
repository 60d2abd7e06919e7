"""Deadlines of many requests at the price of one timer."""

from __future__ import annotations

import asyncio
from time import monotonic as _monotonic
from typing import Protocol

_GRAIN_S = 0.005
"""Expiries closer together than this share one wake-up."""
_TURNS = 4
"""Of the loop, for an answer that comes at the deadline to get through."""


class Expiring(Protocol):
    deadline: float
    timeout_s: float

    def expire(self) -> None: ...


class Deadlines:
    """Calls `expire()` of whatever is still in flight at its deadline (seconds of `time.monotonic`).

    Requests with the same time-out expire in the order in which they came, so each time-out value has a queue
    of its own (a dict keeps order and forgets in O(1)) and only the heads are looked at. One loop timer
    exists while something is in flight; a request costs two dict operations and no timer.
    """

    def __init__(self) -> None:
        self._queues: dict[float, dict[Expiring, None]] = {}
        self._timer: asyncio.Handle | None = None
        self._wake_at = 0.0

    def add(self, item: Expiring, loop: asyncio.AbstractEventLoop) -> None:
        """`item.deadline` is `item.timeout_s` from now."""
        queue = self._queues.get(item.timeout_s)
        if queue is None:
            queue = self._queues[item.timeout_s] = {}
        queue[item] = None
        if self._timer is None or item.deadline < self._wake_at:
            self._arm(item.deadline, loop)

    def discard(self, item: Expiring) -> None:
        queue = self._queues.get(item.timeout_s)
        if queue is not None:
            queue.pop(item, None)

    def _arm(self, deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = deadline
        # Both clocks are CLOCK_MONOTONIC, but uvloop's is cached per iteration: a delay is safe with either.
        self._timer = loop.call_later(max(0.0, deadline - _monotonic()) + _GRAIN_S, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        # What the request waits for has the same deadline, and its answer says more. In a loop that is late
        # both timers ring in one turn; the answer then needs a few turns to come, however long each takes.
        self._timer = loop.call_later(_GRAIN_S, self._wait, loop, _TURNS)

    def _wait(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        if turns:
            self._timer = loop.call_soon(self._wait, loop, turns - 1)
        else:
            self._fire(loop)

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = _monotonic()
        earliest: float | None = None
        for timeout_s in list(self._queues):
            queue = self._queues[timeout_s]
            while queue:
                item = next(iter(queue))
                if item.deadline > now:
                    break
                del queue[item]
                item.expire()
            if queue:
                head = next(iter(queue)).deadline
                earliest = head if earliest is None else min(earliest, head)
            else:
                del self._queues[
                    timeout_s
                ]  # a caller may send any time-out: keep no queue for each it ever sent
        if earliest is not None:
            self._arm(earliest, loop)
