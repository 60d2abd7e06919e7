"""The seam between a policy and whoever drives it: what it sees, what it says.

A policy is arithmetic without clock, loop or I/O: it sees arrivals, completions and the queue, and says what
to do; a simulator can drive it faster than time. Times are seconds of one monotonic clock, sizes are rows or
any other weight.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class Waiting(Protocol):
    """One request in the queue."""

    @property
    def arrival(self) -> float: ...
    @property
    def rows(self) -> int: ...


class Queue(Protocol):
    """Requests that may go together, oldest first; read only."""

    @property
    def rows(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Waiting: ...


class Decision(NamedTuple):
    dispatch: int = 0
    """Send the oldest that many requests now."""
    shed: int = 0
    """Refuse the oldest that many requests; then ask again."""
    wake_at: float | None = None
    """Ask again at this time, if nothing arrives and no batch completes before."""
    reason: str = ""
    """Why a batch leaves now: `idle worker`, `full`, `probe`, `shared`; or why it waits: `hold`, `spread`."""


class Policy(Protocol):
    """One instance a method; its lanes (shapes, constants) share it."""

    workers: int
    """Workers that are up; the dispatcher keeps it current."""

    @property
    def cap(self) -> float:
        """The largest batch worth sending: up to so many wait for one batch only."""
        ...

    def on_arrival(self, now: float, rows: int) -> bool:
        """False refuses the request; it then never joins the queue."""
        ...

    def on_complete(self, now: float, rows: int, service_s: float) -> None:
        """A batch of `rows` came back `service_s` seconds after it was sent."""
        ...

    def on_cancel(self, now: float, rows: int) -> None:
        """A waiting request left the queue: disconnected, or past its deadline."""
        ...

    def decide(self, now: float, queue: Queue, idle: int) -> Decision:
        """What to do with a lane that is not empty while `idle` workers wait."""
        ...

    def wait_s(self, rows: int) -> float:
        """Seconds until `rows` more would have their answer; 0 while too little is known."""
        ...

    def service_s(self, rows: int) -> float:
        """Seconds that a batch of `rows` takes; 0 while too little is known."""
        ...

    def explain(self) -> dict[str, Any]:
        """What was learned and decided so far: plain JSON values, seconds and rows."""
        ...


def fitting(queue: Queue, room: float) -> tuple[int, float]:
    """(requests, rows) of the longest head of the queue within `room`; one that is larger goes alone."""
    length, total = len(queue), queue.rows
    if type(total) is int and total == length:  # one row each
        number = max(1, min(length, int(room)))
        return number, number
    number, rows = 1, queue[0].rows
    while number < length and rows + queue[number].rows <= room:
        rows += queue[number].rows
        number += 1
    return number, rows
