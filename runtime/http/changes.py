"""That something which many wait for may be different now: whether a process takes traffic, or stops."""

from __future__ import annotations

import asyncio


class Changes:
    """One side tells, any number of others wait, in one event loop, and look themselves what has changed."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Set by the next change. Taken before a look, nothing is missed while the look is acted on."""
        return self._next

    def tell(self) -> None:
        told, self._next = self._next, asyncio.Event()
        told.set()
