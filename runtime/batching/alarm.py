"""The one timer of a dispatcher."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from math import inf

SHORTEST_S = 0.001
"""Event loops count in milliseconds; less would spin."""


class Alarm:
    """Calls back once at the earliest of the times it was given, or earlier; never while it is clear."""

    __slots__ = ("_callback", "_context", "_handle", "_loop", "at")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: contextvars.Context, callback: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._context = context
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self.at = inf
        """Clock seconds for which it is set; `inf` when clear."""

    def set(self, at: float, now: float) -> None:
        """Sets it for `at`, replacing what was set; `inf` clears it."""
        if at == self.at:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.at = at
        if at < inf:
            delay = max(at - now, SHORTEST_S)
            self._handle = self._loop.call_later(delay, self._ring, context=self._context)

    def _ring(self) -> None:
        self._handle = None
        self.at = inf
        self._callback()
