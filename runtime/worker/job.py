"""A batch that waits in a worker, and putting together those of several API processes."""

from __future__ import annotations

import traceback
from collections.abc import Hashable
from math import inf
from typing import Any

from ...errors import OutOfMemoryError, OverloadedError, ServingError, UsageError, WireError
from ..batching import rows
from ..wire import frame
from ..wire.frame import Frame
from ..wire.messages import Call, Failure, load
from ..wire.values import unpack
from .connection import Connection

MAX_TRACEBACK_CHARS = 20_000


class Job:
    """One CALL frame.

    Args:
        now: monotonic seconds; the frame carries remaining times, for clocks of two hosts differ.

    Raises:
        WireError: malformed head or values.
    """

    __slots__ = (
        "_arrived",
        "_earliest",
        "_remaining_s",
        "alone",
        "args",
        "batch",
        "cancelled",
        "connection",
        "counts",
        "dropped",
        "key",
        "kwargs",
        "method",
        "requests",
        "rows",
        "weight",
    )

    def __init__(self, connection: Connection, received: Frame, now: float) -> None:
        call = load(Call, received.head)
        self.connection = connection
        self.batch = received.batch
        self.method = call.method
        self.counts = call.counts
        self.alone = bool(received.flags & frame.ALONE)
        self.args: tuple[Any, ...] = unpack(call.args, received.buffers)
        self.kwargs: dict[str, Any] = unpack(call.kwargs, received.buffers) if call.kwargs else {}
        if not isinstance(self.args, tuple) or not isinstance(self.kwargs, dict):
            raise WireError("the arguments of a call are no tuple and map")
        self.requests = len(call.counts) or 1
        self.rows = sum(call.counts)
        """Of all its requests; 0 for a method that takes no batches."""
        self.weight = call.weight
        _check(call, self.args, self.rows)
        self._arrived = now
        self._remaining_s = call.remaining_s
        self._earliest = now + min(call.remaining_s, default=inf)
        self.cancelled: set[int] = set()
        self.dropped: list[int] = []
        self.key: Hashable = None
        """Equal for jobs that may run together; None for one that runs by itself."""
        # Constants with arrays in them are compared by nobody: such a batch runs by itself.
        own_buffers = self.kwargs and len(received.buffers) != len(self.args)
        if call.counts and not self.alone and not own_buffers:
            self.key = (call.method, rows.shape_key(self.args), call.kwargs)

    def cancel(self, places: list[int]) -> None:
        """Nobody waits for these requests any more; it is no error when there are no such."""
        self.cancelled.update(place for place in places if 0 <= place < self.requests)

    def drop(self, now: float) -> bool:
        """Leaves out the requests that nobody waits for any more; False when none is left."""
        if not self.cancelled and self._earliest > now:
            return True
        gone = self.cancelled.copy()
        passed_s = now - self._arrived
        gone.update(place for place, left_s in enumerate(self._remaining_s) if left_s <= passed_s)
        if not gone:
            return True
        self.dropped = sorted(gone)
        left = [place for place in range(self.requests) if place not in gone]
        if left and self.counts:
            columns = [rows.split(value, self.counts) for value in self.args]
            self.args = rows.join([tuple(column[place] for column in columns) for place in left])
            self.counts = [self.counts[place] for place in left]
            self.rows = sum(self.counts)
        return bool(left)


def _check(call: Call, args: tuple[Any, ...], total: int) -> None:
    """What is said of the rows must fit the rows, for they are taken apart by it."""
    if call.counts:
        if min(call.counts) < 0:
            raise WireError("a call with a negative number of rows")
        try:
            found = rows.count(args)
        except UsageError as error:
            raise WireError(f"a call of a batch method without rows: {error}") from error
        if found != total:
            raise WireError(f"a call of {total} rows brings {found}")
    if len(call.remaining_s) not in (0, len(call.counts) or 1):
        raise WireError(f"a call of {len(call.counts) or 1} requests with {len(call.remaining_s)} deadlines")


def failure_of(error: BaseException, model_s: float, dropped: list[int]) -> Failure:
    """What may be said of an exception to another process: its name, its text, its traceback as text."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))[-MAX_TRACEBACK_CHARS:]
    if _wants_memory(error):
        error = OutOfMemoryError(
            f"the worker had not enough memory for this call ({_brief(error)}): "
            "send fewer rows at once, lower max_batch_size, or run fewer workers"
        )
    return Failure(
        type=type(error).__name__,
        message=str(error),
        traceback=text,
        status=error.status if isinstance(error, ServingError) else 500,
        title=error.title if isinstance(error, ServingError) else "",
        path=error.path if isinstance(error, ServingError) else "",
        retry_after_s=error.retry_after_s if isinstance(error, OverloadedError) else 0.0,
        model_s=model_s,
        dropped=dropped,
    )


def _wants_memory(error: BaseException) -> bool:
    """Python's and numpy's MemoryError, and torch's: a class of its own for GPUs, a RuntimeError for CPUs."""
    kind = type(error)
    if isinstance(error, MemoryError):
        return True
    if kind.__name__ == "OutOfMemoryError" and kind.__module__.startswith("torch"):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _brief(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
