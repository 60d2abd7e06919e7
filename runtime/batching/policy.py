"""When does a batch leave, and who is refused: arithmetic without clock, loop or I/O.

A policy sees arrivals, completions and the queue, and says what to do; a simulator can drive it faster than
time. Times are seconds of one monotonic clock, sizes are rows.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..manifest import MethodSpec, RunnerSpec

if TYPE_CHECKING:
    from .adaptive import AdaptivePolicy  # noqa: F401 - had from here as well, see __getattr__


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
    """Why the batch leaves now: `full`, `idle worker`, `deadline`, `gap`."""


class Policy(Protocol):
    """One instance a method; its lanes (shapes, constants) share it."""

    workers: int
    """Workers that are up; the dispatcher keeps it current."""

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


class Pace:
    """Learned service times and what they say about waiting: the formula of admission.

    Service times are kept per power of two of rows, the mean of the first samples and then with gain 0.1; a
    sample is clipped at three times the mean, so that one hiccup refuses nobody.
    """

    __slots__ = ("_buckets", "_largest", "cap", "samples", "workers")

    MIN_SAMPLES = 8
    """Nobody is refused on less knowledge than this."""

    def __init__(self, cap: int, workers: int) -> None:
        self.cap = cap
        self.workers = workers
        self.samples = 0
        self._buckets: dict[int, tuple[int, float]] = {}
        self._largest = 0

    def learn(self, rows: int, service_s: float) -> None:
        self.samples += 1
        if self.samples <= max(
            1, self.workers
        ):  # first batch of a worker: caches and lazy set-up, not its pace
            return
        bucket = max(1, rows).bit_length()
        seen, mean = self._buckets.get(bucket, (0, 0.0))
        seen += 1
        sample = min(service_s, 3 * mean) if seen > 1 else service_s
        self._buckets[bucket] = (seen, mean + (sample - mean) / min(seen, 10))
        self._largest = max(self._largest, bucket)

    def full_batch_s(self) -> float:
        """Service time of the largest batches seen; sizes never tried get the benefit of the doubt."""
        return self._buckets[self._largest][1] if self._largest else 0.0

    def wait_s(self, rows: int) -> float:
        """Seconds until the last of `rows` waiting rows has its answer; 0 while too little is known.

        rows / cap * s(cap) / workers + s(cap), once more waits than one batch holds.
        """
        if self.samples <= self.MIN_SAMPLES or rows <= self.cap:
            return 0.0
        full = self.full_batch_s()
        return rows / self.cap * full / max(1, self.workers) + full


class NaturalPolicy:
    """Natural batching: as soon as a worker is idle, what waits goes, up to the cap.

    Args:
        max_rows: cap of a batch.
        max_latency_s: longest that a row may spend here, later ones are refused; `inf`: no limit.
        workers: workers of the runner.
    """

    def __init__(self, max_rows: int, max_latency_s: float, workers: int) -> None:
        self.max_rows = max_rows
        self.max_latency_s = max_latency_s
        self._pace = Pace(max_rows, workers)
        self._waiting = 0

    @property
    def workers(self) -> int:
        return self._pace.workers

    @workers.setter
    def workers(self, number: int) -> None:
        self._pace.workers = number

    def on_arrival(self, now: float, rows: int) -> bool:  # noqa: ARG002 - the seam gives the time
        if self._pace.wait_s(self._waiting + rows) > self.max_latency_s:
            return False
        self._waiting += rows
        return True

    def on_complete(self, now: float, rows: int, service_s: float) -> None:  # noqa: ARG002
        self._pace.learn(rows, service_s)

    def on_cancel(self, now: float, rows: int) -> None:  # noqa: ARG002
        self._waiting -= rows

    def decide(self, now: float, queue: Queue, idle: int) -> Decision:
        limit = self.max_latency_s
        late = 0
        while late < len(queue) and now - queue[late].arrival > limit:
            late += 1
        if late:
            self._waiting -= sum(queue[place].rows for place in range(late))
            return Decision(shed=late)
        if not idle:
            return Decision(wake_at=queue[0].arrival + limit if limit < inf else None)
        if queue.rows <= self.max_rows:
            self._waiting -= queue.rows
            return Decision(len(queue), reason="full" if queue.rows == self.max_rows else "idle worker")
        take, rows = fitting(queue, self.max_rows)
        self._waiting -= rows
        return Decision(take, reason="full")


def fitting(queue: Queue, max_rows: int) -> tuple[int, int]:
    """(requests, rows) of the longest head of the queue within `max_rows`; one that is larger goes alone."""
    take, rows = 1, queue[0].rows
    while take < len(queue) and rows + queue[take].rows <= max_rows:
        rows += queue[take].rows
        take += 1
    return take, rows


def max_rows(spec: RunnerSpec, method: MethodSpec) -> int:
    """Cap of a batch: the method's own, else the runner's; 1 for a method that takes no batches."""
    if not method.batch:
        return 1
    return method.max_batch_size if method.max_batch_size is not None else spec.max_batch_size


def max_latency_s(spec: RunnerSpec, method: MethodSpec) -> float:
    """Longest that a row may spend in the runner: the method's own, else the runner's; `inf` for none."""
    limit = method.max_latency_ms if method.max_latency_ms is not None else spec.max_latency_ms
    return inf if limit is None else limit / 1000


def natural(spec: RunnerSpec) -> Callable[[MethodSpec], Policy]:
    """Makes the policy of each method of a runner."""
    workers = spec.workers if isinstance(spec.workers, int) else 1
    return lambda method: NaturalPolicy(max_rows(spec, method), max_latency_s(spec, method), workers)


def __getattr__(name: str) -> object:
    """`AdaptivePolicy` is to be had here too; its module needs the types of this one, so it comes last."""
    if name == "AdaptivePolicy":
        from .adaptive import AdaptivePolicy

        return AdaptivePolicy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
