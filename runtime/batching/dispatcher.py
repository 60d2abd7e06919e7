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
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from numpy import ndarray

from ...errors import UnavailableError, UsageError
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
from .ragged import Ragged
from .recovery import Recovery
from .request import NO_KWARGS, Lane, Method, Request, content
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
        self.poison = Poison(spec.name, on_verdict, clock)
        """What is known of requests that end workers; give it what other processes found out."""
        recovery = Recovery(spec, self.poison)
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
            admission=self._admission,
            deadlines=self._deadlines,
            recovery=recovery,
            poison=self.poison,
            metrics=metrics,
            clock=clock,
        )
        for method in self._methods.values():
            method.sure = self._admission.sure(method)
            method.withdraw = self._withdraw
        self._scheduled = False
        self._closed = False

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
        """Runs one method of the runner; await what it gives for the result, for these rows only.

        The deadline is that of the current request context. Whatever is wrong is raised when it is awaited.

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
        try:
            return self._admit(method, args, kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the call is awaited
            # Without its traceback: that holds this frame, and with it the arguments.
            refused = error.with_traceback(None)
        request = Request(loop=self._loop)
        request.set_exception(refused)
        return request

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
        for method in self._methods.values():
            method.last = None
        for request in self._room.clear():
            request.fail(_stopping())
        self._metrics.queue(0)
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
        context = current_context()
        deadline = inf if context is None else context.deadline
        now, room, lane = self._clock(), self._room, method.last
        crashes = self.poison.check(method.name, args, kwargs) if self.poison else 0
        if (
            lane is not None
            and not kwargs
            and len(args) == 1
            and type(array := args[0]) is ndarray
            and array.shape == lane.shape
            and array.dtype is lane.dtype
        ):
            count, ragged = lane.count, None
            weight = count or 1
        else:
            lane, count, weight, ragged = self._sort(method, args, kwargs)
        if deadline <= now or ragged is not None or room.rows + weight > method.sure:
            waiting, workers = room.rows, self._crew.size
            self._admission.check(method, count or 1, weight, now, deadline, waiting=waiting, workers=workers)
        if not method.policy.on_arrival(now, weight):
            raise self._admission.late(method, weight)
        request = Request(loop=self._loop)
        request.args = args
        request.count = count
        request.rows = weight
        request.arrival = now
        request.deadline = deadline
        request.lane = lane
        if kwargs:
            request.kwargs = kwargs
        if crashes:
            request.crashes = crashes
        if ragged is not None:
            request.ragged = ragged
        room.add(request)
        self._metrics.queue(room.rows)
        alarm = self._alarm
        if self._scheduled:
            alarm.deadline = min(alarm.deadline, deadline)
        elif self._crew.idle or room.fresh:
            alarm.deadline = min(alarm.deadline, deadline)
            self._schedule()
        elif deadline < alarm.deadline:
            alarm.deadline = deadline
            alarm.set(now)
        return request

    def _sort(
        self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Lane, int, int, Ragged | None]:
        """(the lane that a call belongs to, its rows, its weight, itself when it is padded)."""
        if self._closed:
            raise _stopping()
        if not method.spec.batch:
            return self._room.lane(method.name, method, NO_KWARGS), 1, 1, None
        count = rows.count(args)
        packed = pack(dict(sorted(kwargs.items()))) if kwargs else NO_KWARGS
        ragged = None if method.padding is None else method.padding.take(args, kwargs)
        shape = rows.shape_key(args) if ragged is None else ragged.key
        lane = self._room.lane((method.name, shape, content(packed)), method, packed)
        if method.cost is not None:
            return lane, count, method.cost(args, kwargs, count, ragged), ragged
        if ragged is None and not kwargs and len(args) == 1 and type(args[0]) is ndarray:
            method.last, lane.count, lane.shape, lane.dtype = lane, count, args[0].shape, args[0].dtype
        return lane, count, count or 1, ragged

    def _withdraw(self, request: Request) -> None:
        """Its caller has gone: it must not reach a model any more."""
        if not self._drop(request):
            for slot in self._crew:
                batch = slot.batch
                if batch is not None and request in batch.requests:
                    slot.link.cancel(batch.number, [batch.requests.index(request)])
                    break
        self._sending.rest(self._clock())

    def _drop(self, request: Request) -> bool:
        """Takes it out of the queue; False when it does not wait there."""
        if self._room.remove(request):
            request.lane.method.policy.on_cancel(self._clock(), request.rows)
        elif not self._room.remove_again(request):
            return False
        self._metrics.queue(self._room.rows)
        return True

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
            "idle": len(self._crew.idle),
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
