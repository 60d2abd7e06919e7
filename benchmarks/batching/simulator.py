"""Drives a policy through simulated time: arrivals, workers, answers; no clock, no sockets."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from ...runtime.batching.decision import Decision, Queue

ARRIVE, DONE, WAKE = range(3)


class Request:
    __slots__ = ("arrival", "client", "rows")

    def __init__(self, arrival: float, rows: int, client: int) -> None:
        self.arrival = arrival
        self.rows = rows
        self.client = client


class SimulatedQueue:
    """What the policy sees: oldest first, read only."""

    def __init__(self) -> None:
        self.requests: deque[Request] = deque()
        self.rows = 0

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


class Driven(Protocol):
    """The part of a policy that the simulator needs."""

    def on_arrival(self, now: float, rows: int) -> bool: ...
    def on_complete(self, now: float, rows: int, service_s: float) -> None: ...
    def decide(self, now: float, queue: Queue, idle: int) -> Decision: ...


Call = tuple[float, int, int]
"""(time, rows, client)."""


class Source(Protocol):
    """Who calls."""

    def first(self) -> Sequence[Call]:
        """The calls known at the start."""
        ...

    def following(self, now: float, client: int) -> Call | None:
        """The next call of an open source, asked for at each arrival."""
        ...

    def answered(self, now: float, client: int, served: bool) -> Call | None:
        """The next call of a client that has its answer, or was refused."""
        ...


@dataclass
class Outcome:
    """What happened between the end of the warm-up and the end."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    """Of each request served, from arrival to answer."""
    refused: int = 0
    """At arrival."""
    shed: int = 0
    """After waiting."""
    batches: list[int] = field(default_factory=list)
    """Rows of each batch."""

    @property
    def mean_s(self) -> float:
        return sum(self.latencies) / len(self.latencies) if self.latencies else float("inf")

    @property
    def throughput(self) -> float:
        return len(self.latencies) / self.seconds

    def goodput(self, limit_s: float) -> float:
        return sum(latency <= limit_s for latency in self.latencies) / self.seconds


def simulate(
    policy: Driven,
    service: Callable[[int, Random], float],
    source: Source,
    *,
    workers: int,
    seconds: float,
    warm_up_s: float = 0.0,
    seed: int = 0,
    slow_first: Sequence[float] = (),
    eager: bool = False,
) -> Outcome:
    """Runs the policy against the source.

    Args:
        service: seconds of a batch of that many rows.
        seconds: simulated time, the warm-up included.
        slow_first: factors by which the first batches take longer.
        eager: asks the policy after every arrival, not once for all that arrive at the same instant.
    """
    rng = Random(seed)
    outcome = Outcome(seconds - warm_up_s)
    queue = SimulatedQueue()
    events: list[tuple[float, int, int, Any]] = []
    number = 0
    idle = workers
    wake = float("inf")
    started = 0

    def add(when: float, kind: int, what: Any) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (when, number, kind, what))

    def again(call: Call | None) -> None:
        if call:
            add(call[0], ARRIVE, call)

    for known in source.first():
        again(known)
    while events:
        now, _, kind, what = heapq.heappop(events)
        if now > seconds:
            break
        if kind == ARRIVE:
            _, rows, client = what
            again(source.following(now, client))
            if policy.on_arrival(now, rows):
                queue.append(Request(now, rows, client))
            else:
                outcome.refused += now >= warm_up_s
                again(source.answered(now, client, served=False))
        elif kind == DONE:
            batch, rows, service_s = what
            idle += 1
            policy.on_complete(now, rows, service_s)
            for request in batch:
                if now >= warm_up_s:
                    outcome.latencies.append(now - request.arrival)
                again(source.answered(now, request.client, served=True))
        if not eager and events and events[0][0] == now:
            continue
        while queue.requests:
            decision = policy.decide(now, queue, idle)
            if decision.shed:
                for _ in range(decision.shed):
                    request = queue.popleft()
                    outcome.shed += now >= warm_up_s
                    again(source.answered(now, request.client, served=False))
            elif decision.dispatch and idle:
                batch = [queue.popleft() for _ in range(decision.dispatch)]
                rows = sum(request.rows for request in batch)
                service_s = service(rows, rng)
                if started < len(slow_first):
                    service_s *= slow_first[started]
                started += 1
                idle -= 1
                if now >= warm_up_s:
                    outcome.batches.append(rows)
                add(now + service_s, DONE, (batch, rows, service_s))
            else:
                when = decision.wake_at
                if idle and when is None:
                    raise AssertionError(f"held for ever at {now}: {decision}")
                if when is not None and (when < wake or wake <= now):
                    wake = when
                    add(max(when, now), WAKE, None)
                    if idle and when <= now:
                        raise AssertionError(f"wakes in the past at {now}: {decision}")
                break
    return outcome
