"""The one timer of a dispatcher."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from math import inf

SHORTEST_S = 0.001
"""Event loops count in milliseconds; less would spin."""


class Alarm:
    """Calls back once at the sooner of `deadline` and `wake`, or earlier; never while both are `inf`."""

    __slots__ = ("_at", "_callback", "_context", "_handle", "_loop", "deadline", "wake")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: contextvars.Context, callback: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._context = context
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self._at = inf
        # Lower bounds: nothing is due earlier. They are made exact when it rings, not per request.
        self.deadline = inf
        """Clock seconds at which somebody's time is up."""
        self.wake = inf
        """Clock seconds at which a policy wants to be asked again."""

    def set(self, now: float) -> None:
        """Sets the timer for what comes next; one that is set for earlier stays, and looks again then."""
        at = min(self.deadline, self.wake)
        if at >= self._at:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._at = at
        delay = max(at - now, SHORTEST_S)
        self._handle = self._loop.call_later(delay, self._ring, context=self._context)

    def clear(self) -> None:
        """Nothing waits and nothing runs: no timer."""
        self.deadline = self.wake = self._at = inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        self._at = inf
        self._callback()
