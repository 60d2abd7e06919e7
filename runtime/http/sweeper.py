"""Time limits of connections, with one timer for all of them."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Protocol

_PERIOD_S = 1.0


class Swept(Protocol):
    def sweep(self, now: float) -> None:
        """Closes the connection when it has been silent for too long. `now`: `time.monotonic()`."""


class Sweeper:
    """Looks at every connection once a second; without connections there is no timer, and an idle server
    sleeps."""

    def __init__(self) -> None:
        self._connections: set[Swept] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Swept, loop: asyncio.AbstractEventLoop) -> None:
        self._connections.add(connection)
        if self._timer is None:
            self._timer = loop.call_later(_PERIOD_S, self._sweep, loop)

    def discard(self, connection: Swept) -> None:
        self._connections.discard(connection)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = monotonic()
        for connection in list(self._connections):
            connection.sweep(now)
        self._timer = loop.call_later(_PERIOD_S, self._sweep, loop) if self._connections else None
