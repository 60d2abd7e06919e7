"""Puts the calls of one API process to one runner into batches and gives every caller its own answer.

Single-threaded: everything happens in callbacks of the loop that made it. Batches are formed as late as
possible: when a worker is idle, and at most one batch of this process is at each worker. There is one timer,
and none at all while nothing waits and nothing runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import difflib
import time
from collections.abc import Callable, Hashable, Mapping
from math import inf
from typing import Any

from ...errors import PoisonRequestError, UnavailableError, UsageError
from ..manifest import MethodSpec, RunnerSpec
from ..service.context import current_context
from ..wire.messages import Failure
from ..wire.values import pack
from . import rows
from .admission import Admission
from .alarm import Alarm
from .answers import Answers
from .crew import Crew
from .deadlines import Deadlines
from .decision import Policy
from .methods import methods_of
from .poison import Poison, Verdict
from .ports import RunnerMetrics, WorkerLink
from .recovery import Recovery
from .request import AGAIN, NO_KWARGS, SENT, WAITING, Request, content
from .sending import Sending
from .waiting import WaitingRoom

STUCK_GRACE_S = 5.0
"""How long after the last deadline of its batch a silent worker counts as stuck."""


class Dispatcher:
    """One per runner in each API process; made inside the running loop.

    Args:
        spec: the runner.
        metrics: where to count.
        costs: method to the function that weighs its calls, for those that have one.
        policy: makes the policy of each method; `AdaptivePolicy` when not given.
        clock: monotonic seconds.
        on_stuck: told (worker id, reason), once a batch, of a worker whose batch nobody waits for any more.
        stuck_grace_s: how long after the last deadline of its batch a silent worker counts as stuck.
        on_verdict: told of requests that were found to end workers, for the other processes.
    """

    def __init__(
        self,
        spec: RunnerSpec,
        *,
        metrics: RunnerMetrics,
        costs: Mapping[str, Callable[..., Any]] | None = None,
        policy: Callable[[MethodSpec], Policy] | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_stuck: Callable[[str, str], None] | None = None,
        stuck_grace_s: float = STUCK_GRACE_S,
        on_verdict: Callable[[Verdict], None] = lambda verdict: None,  # noqa: ARG005
    ) -> None:
        self.spec = spec
        self._metrics = metrics
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        # Callbacks must not run in the context of the request that happened to schedule them.
        self._no_request = contextvars.Context()
        self._alarm = Alarm(self._loop, self._no_request, self._rang)
        self._admission = Admission(spec, metrics)
        self._methods = methods_of(spec, policy, costs)
        self._room = WaitingRoom()
        self._crew = Crew()
        self._deadlines = Deadlines(
            spec.name, self._room, self._crew, drop=self._drop, on_stuck=on_stuck, grace_s=stuck_grace_s
        )
        recovery = Recovery(spec)
        self._sending = Sending(
            self._room,
            self._crew,
            self._alarm,
            admission=self._admission,
            deadlines=self._deadlines,
            recovery=recovery,
            metrics=metrics,
            clock=clock,
        )
        self._answers = Answers(
            spec.name,
            self._room,
            self._crew,
            self._sending,
            deadlines=self._deadlines,
            recovery=recovery,
            metrics=metrics,
            clock=clock,
        )
        self.poison = Poison(spec.name, on_verdict, clock)
        """What is known of requests that end workers; give it what other processes found out."""
        self._requests = 0
        self._scheduled = False
        self._closed = False

    async def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs one method of the runner and gives its result, for these rows only.

        The deadline is that of the current request context.

        Args:
            args: rows, for a batch method; each has the same number of rows.
            kwargs: constants; only calls with equal constants share a batch.

        Raises:
            OverloadedError: refused before any work.
            DeadlineExceededError: the request's deadline passed first.
            InferenceError: the method raised; RequestErrors come back as themselves.
            PoisonRequestError: two workers ended while they ran this request, or an equal one not long ago.
            WorkerCrashedError: the worker ended, and the runner has `retry=False`.
            ResultMismatchError: the method returned the wrong number of rows.
            UnavailableError: the server is stopping.
            WireError: the values cannot travel between processes.
            UsageError: no such method, or arguments that are no rows.
        """
        poison = self.poison
        crashes = poison.check(method, args, kwargs) if poison else 0
        request = self._admit(method, args, kwargs)
        request.crashes = crashes
        try:
            result = await request.future
        except asyncio.CancelledError:
            self._withdraw(request)
            raise
        except PoisonRequestError:
            poison.condemn(method, args, kwargs)
            raise
        else:
            if poison:
                poison.clear(method, args, kwargs)
            return result
        finally:
            # What was raised holds this frame, and the request's future holds what was raised.
            del request

    @property
    def queue_rows(self) -> int:
        """Rows that wait for a worker."""
        return self._room.rows

    @property
    def in_flight(self) -> int:
        """Batches that are at a worker."""
        return self._crew.busy

    @property
    def workers(self) -> int:
        """Workers that are connected and take batches."""
        return self._crew.size

    # -- workers come and go

    def add_worker(self, link: WorkerLink) -> None:
        """A warm worker is connected."""
        self._crew.add(link)
        self._recount()
        self._schedule()

    def retire_worker(self, link: WorkerLink) -> None:
        """Sends nothing more to it; what it holds it still answers. Then the link is told to finish."""
        self._crew.retire(link)
        self._recount()

    def remove_worker(self, link: WorkerLink, reason: str) -> None:
        """The connection is gone; its batch is run again, or fails.

        Args:
            reason: for the log and the callers: `connection lost`.
        """
        batch = self._crew.remove(link)
        self._recount()
        if batch is not None:
            self._answers.crash(batch, reason)

    def close(self) -> None:
        """Fails everything that waits or runs, and drops the workers."""
        self._closed = True
        for request in self._room.clear():
            self._metrics.queued(-request.size)
            request.fail(_stopping())
        for batch in self._crew.batches():
            for request in batch.requests:
                request.fail(_stopping())
        for link in self._crew.clear():
            link.abort()
        self._sending.rest(self._clock())

    def _recount(self) -> None:
        for method in self._methods.values():
            method.policy.workers = max(1, self._crew.size)

    # -- requests come and go

    def _admit(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
        method = self._methods.get(name)
        if method is None:
            raise UsageError(self._no_method(name))
        if self._closed:
            raise _stopping()
        context = current_context()
        deadline = inf if context is None else context.deadline
        key: Hashable
        given: Any = args
        if method.spec.batch:
            size = rows.count(args)
            packed = pack(dict(sorted(kwargs.items()))) if kwargs else NO_KWARGS
            if method.padding is not None:
                given = method.padding.take(args, kwargs)
                key = (name, given.key, content(packed))
            else:
                key = (name, rows.shape_key(args), content(packed))
        else:
            size, packed, key = 1, NO_KWARGS, name
            given = (args, kwargs)
        weight = size or 1
        if method.cost is not None:
            weight = method.cost(args, kwargs, size, given if method.padding is not None else None)
        now, room, workers = self._clock(), self._room, self._crew.size
        self._admission.check(method, size or 1, weight, now, deadline, waiting=room.rows, workers=workers)
        self._requests += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        lane = room.lane(key, method, packed)
        request = Request(self._requests, given, size, now, deadline, future, lane, weight)
        room.add(request)
        self._metrics.queued(size or 1)
        alarm = self._alarm
        if self._crew.idle or room.fresh:
            alarm.deadline = min(alarm.deadline, deadline)
            self._schedule()
        elif deadline < alarm.deadline:
            alarm.deadline = deadline
            alarm.set(now)
        return request

    def _withdraw(self, request: Request) -> None:
        """Its caller has gone: it must not reach a model any more."""
        if request.state in (WAITING, AGAIN):
            self._drop(request)
        elif request.state == SENT and request.batch is not None:
            link = self._crew.holder(request.batch)
            if link is not None:
                link.cancel(request.batch.number, [request.batch.requests.index(request)])
        request.leave()
        self._sending.rest(self._clock())

    def _drop(self, request: Request) -> None:
        self._room.remove(request)
        self._metrics.queued(-request.size)
        if request.state == WAITING:
            request.lane.method.policy.on_cancel(self._clock(), request.rows)

    def _no_method(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._methods, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self._methods) or 'none'}"
        return f"runner {self.spec.name!r} has no method {name!r}; {hint}"

    # -- answers come back

    def on_result(
        self, link: WorkerLink, number: int, value: Any, model_s: float, dropped: list[int]
    ) -> None:
        """The worker answered: `value` holds the rows of all requests of the batch but the dropped ones.

        Raises:
            WireError: the worker does not hold that batch.
        """
        self._answers.result(link, number, value, model_s, dropped)

    def on_failure(self, link: WorkerLink, number: int, told: Failure) -> None:
        """The method raised for that batch.

        Raises:
            WireError: the worker does not hold that batch.
        """
        self._answers.failure(link, number, told)

    def on_begin(self, link: WorkerLink, number: int) -> None:
        """The worker starts a batch that runs alone: should it end now, that batch did it."""
        batch = self._crew.held(link)
        if batch is not None and batch.number == number:
            batch.begun = True

    # -- time passes

    def _schedule(self) -> None:
        """Decides at the end of this turn of the loop, so that all its arrivals go together."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._end_of_turn, context=self._no_request)

    def _end_of_turn(self) -> None:
        self._scheduled = False
        self._sending.turn()

    def _rang(self) -> None:
        now, alarm = self._clock(), self._alarm
        if now >= alarm.deadline:
            alarm.deadline = self._deadlines.expire(now)
        if now >= alarm.wake:
            alarm.wake = inf
            for lane in self._room.lanes():
                self._room.fresh[lane] = None
        self._sending.turn()

    # -- what it knows

    def explain(self) -> dict[str, Any]:
        """What batching of this process has learned and done, as plain JSON values; reads, changes nothing.

        Seconds and rows; a policy counts what `cost` counts instead. Keys:
            runner: name.
            workers: connected and taking batches.
            idle: of them, workers that hold no batch of this process.
            queue_rows: rows that wait.
            running: batches at workers: `{worker, method, rows, requests, reason, for_s}`.
            methods: by name, each with the keys of `AdaptivePolicy.explain` (max_rows, max_latency_s,
                workers, waiting, cap, shape, spread, batches, service_s, arrival_rate, expected_returns,
                decisions) and
                batch: whether the method takes batches at all.
                unit: of the policy's sizes: `rows`, or the name of the `cost`.
                reasons: why batches left, to how many did: `idle worker`, `full`, `probe` (a size was tried),
                    `shared` (split among idle workers), `bisect` and `retry` (run again after a failure).
                requests, rows: of all batches that are back.
                last_batches: up to 64 that are back, oldest first: `{at, rows, requests, reason, waited_s,
                    service_s, worker, failed}`. `at` is when it left, Unix time; `waited_s` is that of its
                    oldest request; `service_s` from leaving until the answer; `failed`: it raised, or its
                    worker ended.
        """
        now = self._clock()
        return {
            "runner": self.spec.name,
            "workers": self._crew.size,
            "idle": self._crew.idle,
            "queue_rows": self._room.rows,
            "running": [
                {
                    "worker": batch.worker,
                    "method": batch.lane.method.name,
                    "rows": batch.rows,
                    "requests": len(batch.requests),
                    "reason": batch.reason,
                    "for_s": now - batch.started,
                }
                for batch in self._crew.batches()
            ],
            "methods": {
                name: {
                    **method.policy.explain(),
                    "batch": method.spec.batch,
                    "unit": method.spec.cost or "rows",
                    **method.journal.explain(now),
                }
                for name, method in self._methods.items()
            },
        }


def _stopping() -> UnavailableError:
    return UnavailableError("the server is stopping; try again")
