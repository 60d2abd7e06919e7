"""What the dispatcher needs from outside: a connection to each worker, and somewhere to count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from .parcel import Parcel

if TYPE_CHECKING:
    from .request import Request


class WorkerLink(Protocol):
    """A connection to one worker; it calls the dispatcher's `on_…` methods, never from within `send`."""

    id: str
    """Unique while the server lives."""

    def send(self, parcel: Parcel) -> None:
        """Hands one batch to the transport.

        Raises:
            WireError: the values cannot be sent; nothing was.
        """

    def cancel(self, batch: int, requests: list[int]) -> None:
        """Nobody waits any more for these positions of a batch that was sent."""

    def finish(self) -> None:
        """Closes the connection: the worker was retired and holds nothing any more."""

    def abort(self) -> None:
        """Closes the connection at once."""


class RunnerMetrics(Protocol):
    def queue(self, rows: float, /) -> None:
        """So many wait now."""

    def waited(self, seconds: Sequence[float], /) -> None:
        """What each request of a batch has waited, the longest first."""

    def batch(self, method: str, rows: int, reason: str, model_seconds: float, /) -> None: ...
    def answered(
        self,
        method: str,
        calls: Sequence[Request],
        started: float,
        model_seconds: float,
        way_seconds: float,
        /,
    ) -> None:
        """A batch of at least one call came back with a result."""

    def shed(self, reason: str, /) -> None: ...
