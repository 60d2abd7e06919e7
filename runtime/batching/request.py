"""What the dispatcher holds: requests, the lanes they wait in, and the batches they leave in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import ServingError
from ..manifest import MethodSpec
from ..wire.frame import Buffer
from .decision import Policy

if TYPE_CHECKING:
    from .cost import Cost
    from .journal import Journal
    from .padding import Padding

Packed = tuple[bytes, "list[Buffer]"]
"""Keyword arguments as `wire.values.pack` gives them; empty bytes for none."""
NO_KWARGS: Packed = (b"", [])


def content(packed: Packed) -> bytes:
    """Equal for equal constants."""
    return packed[0] if not packed[1] else b"".join([packed[0], *packed[1]])


WAITING, AGAIN, SENT, GONE = range(4)
"""In a lane; in line to run once more; at a worker; answered, refused or withdrawn."""


@dataclass(eq=False)
class Method:
    """What the dispatcher knows of one method of the runner."""

    name: str
    spec: MethodSpec
    max_rows: int
    """Rows of a batch."""
    max_weight: int
    """The same in the unit of the policy: rows, or what `cost` counts."""
    policy: Policy
    journal: Journal
    cost: Cost | None = None
    padding: Padding | None = None


@dataclass(eq=False, slots=True)
class Request:
    """One call that somebody awaits."""

    number: int
    """Grows with every request: tells equal arrival times apart."""
    args: Any
    """Positional arguments, a tuple or, when they are padded, `Ragged`; for a method that takes no batches,
    these and the keyword arguments."""
    count: int
    """Rows on axis 0; may be 0."""
    arrival: float
    deadline: float
    future: asyncio.Future[Any]
    lane: Lane
    rows: int
    """Weight: what policies count, rows or their cost. At least 1, for an empty request is work too."""
    crashes: int = 0
    """Workers that ended while they ran it."""
    state: int = WAITING
    batch: Batch | None = None
    """The batch it was sent in, or is to run again in. None once it is answered: request and batch would hold
    each other, and with them arrays of any size, until the cycle collector comes by."""

    @property
    def size(self) -> int:
        """Rows that queues and metrics count: at least 1."""
        return self.count or 1

    def succeed(self, value: Any) -> None:
        """Its caller gets the value, if it still waits."""
        self.leave()
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: ServingError) -> None:
        """Its caller gets the error, if it still waits."""
        self.leave()
        if not self.future.done():
            self.future.set_exception(error)

    def leave(self) -> None:
        """Nobody waits for it any more."""
        self.state, self.batch = GONE, None


class Lane:
    """Waiting requests that may go together: one method, one shape of row, the same constants.

    Read by policies as `policy.Queue`.
    """

    __slots__ = ("key", "kwargs", "listed", "method", "requests", "rows", "wake_at")

    def __init__(self, key: Hashable, method: Method, kwargs: Packed) -> None:
        self.key = key
        self.method = method
        self.kwargs = kwargs
        self.requests: deque[Request] = deque()
        self.rows = 0
        """Weight of all of them."""
        self.wake_at: float | None = None
        self.listed = False
        """Whether it stands in the waiting room's order of age."""

    def __len__(self) -> int:
        return len(self.requests)

    def __getitem__(self, index: int, /) -> Request:
        return self.requests[index]

    def append(self, request: Request) -> None:
        self.requests.append(request)
        self.rows += request.rows

    def popleft(self) -> Request:
        request = self.requests.popleft()
        self.rows -= request.rows
        return request

    def remove(self, request: Request) -> None:
        self.requests.remove(request)
        self.rows -= request.rows


@dataclass(eq=False)
class Batch:
    """Requests that go, or went, to a worker in one frame."""

    lane: Lane
    requests: list[Request]
    reason: str
    """Why it left: what the policy said (`Decision.reason`), `retry` or `bisect`."""
    alone: bool = False
    """Holds a request that may have ended a worker."""
    number: int = 0
    worker: str = ""
    """Id of the worker it was sent to."""
    started: float = 0.0
    oldest: float = 0.0
    """Arrival of the request that has waited longest."""
    stuck_at: float = 0.0
    """A worker that holds it longer than this is stuck."""
    begun: bool = False
    """The worker said that it started; told only of batches that run alone."""
    reported: bool = False
    """Its worker was reported as stuck."""

    @property
    def rows(self) -> int:
        return sum(request.size for request in self.requests)

    @property
    def weight(self) -> int:
        """What the policy counts."""
        return sum(request.rows for request in self.requests)
