"""Who is refused before any work is done for them."""

from __future__ import annotations

from math import inf

from ...errors import DeadlineExceededError, OverloadedError
from ..manifest import RunnerSpec
from . import failure
from .limits import QUEUED_BATCHES
from .ports import RunnerMetrics
from .request import Method


class Admission:
    __slots__ = ("_limit", "_metrics", "_rows_per_worker", "_runner", "closed")

    def __init__(self, spec: RunnerSpec, metrics: RunnerMetrics) -> None:
        self._runner = spec.name
        self._limit = spec.max_queue_rows
        self._rows_per_worker = QUEUED_BATCHES * spec.max_batch_size
        self._metrics = metrics
        self.closed = False
        """Nobody gets in any more."""

    def check(  # noqa: PLR0917 - on the way of many calls: names cost time
        self,
        method: Method,
        size: int,
        weight: int,
        now: float,
        deadline: float,
        waiting: int,
        workers: int,
    ) -> None:
        """Returns when the request may ask the policy whether to join the queue.

        Args:
            size: rows of the request.
            weight: the same in the unit of the policy.
            waiting: rows in the queue of the runner.
            workers: workers that take batches.

        Raises:
            DeadlineExceededError: nobody waits for it any more.
            OverloadedError: the queue is full, or its answer would come too late.
            UnavailableError: the server is stopping.
        """
        if self.closed:
            raise failure.stopping()
        if deadline <= now:
            raise DeadlineExceededError(f"the deadline had passed before runner {self._runner!r} was called")
        wait_s = method.policy.wait_s(weight)
        limit = self._limit if self._limit is not None else self._rows_per_worker * max(1, workers)
        if waiting and waiting + size > limit:  # a request above the limit gets in when nobody else waits
            raise self.refusal("queue full", wait_s, f"{waiting} rows wait, the limit is {limit}")
        if wait_s > deadline - now:
            raise self.refusal("deadline", wait_s, f"it would take {wait_s:.3g} s, past the deadline")

    def late(self, method: Method, weight: int) -> OverloadedError:
        """Refused by the policy: its answer would come after the latency limit."""
        wait_s = method.policy.wait_s(weight)
        return self.refusal("latency", wait_s, f"it would take {wait_s:.3g} s, past the latency limit")

    def sure(self, method: Method) -> float:
        """Up to so many rows may wait in the runner without a question."""
        if self.closed or method.cost is not None:  # the limit counts rows, a policy with costs does not
            return -inf
        return min(method.policy.cap, self._rows_per_worker if self._limit is None else self._limit)

    def refusal(self, reason: str, wait_s: float, why: str) -> OverloadedError:
        """Counts it, and gives the error for the caller."""
        self._metrics.shed(reason)
        return OverloadedError(f"runner {self._runner!r} is overloaded: {why}", retry_after_s=wait_s or 1.0)
