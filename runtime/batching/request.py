"""What the dispatcher holds: requests, the lanes they wait in, and the batches they leave in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..manifest import MethodSpec
from ..wire.frame import Buffer
from .decision import Policy

if TYPE_CHECKING:
    from .cost import Cost
    from .journal import Journal
    from .padding import Padding
    from .ragged import Ragged

Packed = tuple[bytes, "list[Buffer]"]
"""Keyword arguments as `wire.values.pack` gives them; empty bytes for none."""
NO_KWARGS: Packed = (b"", [])


def content(packed: Packed) -> bytes:
    """Equal for equal constants."""
    return packed[0] if not packed[1] else b"".join([packed[0], *packed[1]])


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
    sure: float = -inf
    """Up to so many rows may wait without a question: they are answered within one batch."""
    last: Lane | None = None
    """The lane of the last call, when the next one like it may take it without being looked at."""
    withdraw: Callable[[Request], None] = lambda request: None  # noqa: ARG005
    """Told of each request whose caller has gone."""


class Request(asyncio.Future[Any]):
    """One call, and the future that its caller awaits.

    A future, not a coroutine that awaits one: there is nothing between the caller and the answer, and the
    call is on its way before it is awaited. It goes where a coroutine goes (`asyncio.create_task`).
    """

    # What every request has; the rest is in the class until a request differs.
    __slots__ = ("args", "arrival", "count", "deadline", "lane", "route", "rows")

    args: tuple[Any, ...]
    """Positional arguments."""
    count: int
    """Rows on axis 0; may be 0."""
    rows: int
    """Weight: what policies count, rows or their cost. At least 1, for an empty request is work too."""
    arrival: float
    deadline: float
    lane: Lane
    route: str
    """Of the request that made the call; empty: of none."""
    kwargs: Mapping[str, Any] = MappingProxyType({})
    ragged: Ragged
    """The rows of a method that pads."""
    crashes = 0
    """Workers that ended while they ran it."""
    losses = 0
    """Workers that were lost before they began it, while it was there alone."""
    _steps: Any = None

    @property
    def size(self) -> int:
        """Rows that queues and metrics count: at least 1."""
        return self.count or 1

    def fail(self, error: Exception) -> None:
        """Its caller gets the error, if it still waits."""
        if not self.done():
            self.set_exception(error)

    def cancel(self, msg: Any = None) -> bool:
        """The caller has gone: the request must not reach a model any more."""
        if not super().cancel(msg):
            return False
        self.lane.method.withdraw(self)
        return True

    # -- what makes it a coroutine

    def send(self, value: Any) -> Any:
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        self.cancel()  # a task that is cancelled before it began says so here only
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.throw(*error)

    def close(self) -> None:
        """Nobody will await it."""
        self.cancel()


class Lane:
    """Waiting requests that may go together: one method, one shape of row, the same constants.

    Read by policies as `decision.Queue`.
    """

    __slots__ = (
        "count",
        "dtype",
        "key",
        "kwargs",
        "listed",
        "method",
        "number",
        "requests",
        "rows",
        "shape",
        "weight",
    )

    def __init__(self, key: Hashable, method: Method, kwargs: Packed) -> None:
        self.key = key
        self.method = method
        self.kwargs = kwargs
        self.requests: deque[Request] = deque()
        self.rows = 0
        """Weight of all of them."""
        self.listed = False
        """Whether it stands in the waiting room's order of age."""
        self.number = 0
        """Grows with every lane that fills: tells equal arrival times apart."""
        # Of the array in the last call: an equal one needs no key.
        self.shape: tuple[int, ...] = ()
        self.dtype: Any = None
        self.count = 0
        self.weight = 1

    def __len__(self) -> int:
        return len(self.requests)

    def __getitem__(self, index: int, /) -> Request:
        return self.requests[index]

    def take(self, number: int) -> list[Request]:
        """The oldest requests, which leave it."""
        requests = self.requests
        if number >= len(requests):
            taken = list(requests)
            requests.clear()
            self.rows = 0
            return taken
        pop = requests.popleft
        one_each = self.rows == len(requests)
        taken = [pop() for _ in range(number)]
        self.rows -= number if one_each else sum([request.rows for request in taken])
        return taken

    def remove(self, request: Request) -> bool:
        """False when it is not here."""
        try:
            self.requests.remove(request)
        except ValueError:
            return False
        self.rows -= request.rows
        return True


class Batch:
    """Requests that go, or went, to a worker in one frame."""

    __slots__ = (
        "ahead",
        "alone",
        "begun",
        "lane",
        "number",
        "oldest",
        "reason",
        "reported",
        "requests",
        "rows",
        "started",
        "stuck_at",
        "weight",
        "worker",
    )

    def __init__(self, lane: Lane, requests: list[Request], reason: str, *, alone: bool = False) -> None:
        self.lane = lane
        self.requests = requests
        self.reason = reason
        """Why it left: what the policy said (`Decision.reason`), `ahead`, `retry` or `bisect`."""
        self.alone = alone
        """Holds a request that may have ended a worker."""
        self.ahead = False
        """It was sent while its worker still ran another one."""
        self.number = 0
        self.worker = ""
        """Id of the worker it was sent to."""
        self.started = 0.0
        """When the worker had it and nothing else of this process to run."""
        self.oldest = 0.0
        """Arrival of the request that has waited longest."""
        self.stuck_at = inf
        """A worker that holds it longer than this is stuck."""
        self.begun = False
        """The worker said that it started; told only of batches that run alone."""
        self.reported = False
        """Its worker was reported as stuck."""
        self.count()

    def count(self) -> None:
        """Counts its rows."""
        self.rows = sum([request.count or 1 for request in self.requests])
        """As queues and metrics count them."""
        weighed = self.lane.method.cost is not None
        self.weight = sum([request.rows for request in self.requests]) if weighed else self.rows
        """In the unit of the policy."""
