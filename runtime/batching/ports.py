"""What the dispatcher needs from outside: a connection to each worker, and somewhere to count."""

from __future__ import annotations

from typing import Any, Protocol

from .request import Packed


class WorkerLink(Protocol):
    """A connection to one worker. It answers by calling the dispatcher's `on_…` methods, never from within `send`."""

    id: str
    """Unique while the server lives."""

    def send(
        self,
        batch: int,
        method: str,
        args: tuple[Any, ...],
        kwargs: Packed,
        counts: list[int],
        remaining_s: list[float],
        traces: list[str],
        alone: bool,
    ) -> None:
        """Hands one batch to the transport.

        Args:
            counts: rows of each request; empty for a method that takes no batches.
            remaining_s: seconds until each request's deadline; empty when none has one.
            traces: `traceparent` of each request; empty when none has one.
            alone: the worker must not put it together with the batches of others.

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
    def queued(self, delta_rows: int, /) -> None: ...
    def waited(self, seconds: float, /) -> None: ...
    def batch(self, method: str, rows: int, reason: str, model_seconds: float, /) -> None: ...
    def shed(self, reason: str, /) -> None: ...
