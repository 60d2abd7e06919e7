"""Connections that wait for their next request."""

from __future__ import annotations

import time
from collections import deque
from typing import Generic, Protocol, TypeVar

IDLE_S = 60.0
"""Below the 75 s after which servers close what is idle."""


class Reusable(Protocol):
    """What carries one request after the other."""

    def is_fresh(self) -> bool:
        """Whether nothing came since the last answer: neither the end nor what nobody asked for."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Reusable)


class IdleConnections(Generic[C]):
    """The one that was used last is taken first. Threads may share it."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[C, float]] = deque()

    def take(self) -> C | None:
        """One that may be used again; those that may not are closed on the way."""
        while (found := self._pop()) is not None:
            connection, since = found
            if time.monotonic() - since < IDLE_S and connection.is_fresh():
                return connection
            connection.close()
        return None

    def keep(self, connection: C) -> None:
        self._waiting.append((connection, time.monotonic()))

    def close(self) -> None:
        """Closes what waits; what is in use is its user's."""
        while (found := self._pop()) is not None:
            found[0].close()

    def _pop(self) -> tuple[C, float] | None:
        try:
            return self._waiting.pop()
        except IndexError:  # asked for first, it could be gone by then
            return None
