"""What the dispatcher holds: requests, the lanes they wait in, and the batches they leave in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from ..manifest import MethodSpec
from ..service.context import RequestContext
from ..wire.frame import Buffer
from .policy import Pace, Policy

Packed = tuple[bytes, "list[Buffer]"]
"""Keyword arguments as `wire.values.pack` gives them; empty bytes for none."""
NO_KWARGS: Packed = (b"", [])

WAITING, AGAIN, SENT, GONE = range(4)
"""In a lane; in line to run once more; at a worker; answered, refused or withdrawn."""


@dataclass(eq=False)
class Method:
    """What the dispatcher knows of one method of the runner."""

    name: str
    spec: MethodSpec
    max_rows: int
    policy: Policy
    pace: Pace
    waiting: int = 0
    """Rows in its lanes."""


class Request:
    """One call that somebody awaits."""

    __slots__ = (
        "args",
        "arrival",
        "batch",
        "context",
        "count",
        "crashes",
        "deadline",
        "future",
        "lane",
        "number",
        "rows",
        "state",
    )

    def __init__(
        self,
        number: int,
        args: tuple[Any, ...],
        count: int,
        arrival: float,
        deadline: float,
        context: RequestContext | None,
        future: asyncio.Future[Any],
        lane: Lane,
    ) -> None:
        self.number = number
        """Grows with every request: tells equal arrival times apart."""
        self.args = args
        self.count = count
        """Rows on axis 0; may be 0."""
        self.rows = count or 1
        """What the policy counts; an empty request is work too."""
        self.arrival = arrival
        self.deadline = deadline
        self.context = context
        self.future = future
        self.lane = lane
        self.crashes = 0
        """Workers that ended while they ran it."""
        self.state = WAITING
        self.batch: Batch | None = None
        """The batch it was sent in, while SENT."""


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
        self.method.waiting += request.rows

    def popleft(self) -> Request:
        request = self.requests.popleft()
        self.rows -= request.rows
        self.method.waiting -= request.rows
        return request

    def remove(self, request: Request) -> None:
        self.requests.remove(request)
        self.rows -= request.rows
        self.method.waiting -= request.rows


@dataclass(eq=False)
class Batch:
    """Requests that go, or went, to a worker in one frame."""

    lane: Lane
    requests: list[Request]
    reason: str
    """Why it left: full, idle worker, deadline, gap, retry, bisect, single."""
    alone: bool = False
    """Holds a request that may have ended a worker."""
    number: int = 0
    worker: str = ""
    """Id of the worker it was sent to."""
    started: float = 0.0
    stuck_at: float = 0.0
    """A worker that holds it longer than this is stuck."""
    begun: bool = False
    """The worker said that it started; told only of batches that run alone."""
    reported: bool = False
    """Its worker was reported as stuck."""

    @property
    def rows(self) -> int:
        return sum(request.rows for request in self.requests)
