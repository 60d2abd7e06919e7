"""Puts the calls of one API process to one runner into batches and gives every caller its own answer.

Single-threaded: everything happens in callbacks of the loop that made it. Batches are formed as late as
possible: when a worker is idle. Only a batch that is full goes a little sooner, so that the worker has it
when it has answered the one before; it never holds more than these two of one process. There is one timer,
and none at all while nothing waits and nothing runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import difflib
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NoReturn

from numpy import ndarray

from ...errors import UsageError
from ..manifest import MethodSpec, RunnerSpec
from ..service.context import current_context
from ..wire.messages import Failure
from . import failure
from .admission import Admission
from .alarm import Alarm
from .answers import Answers
from .crew import Crew
from .deadlines import Deadlines
from .decision import Policy
from .explanation import explain
from .methods import methods_of
from .poison import Poison, Verdict
from .ports import RunnerMetrics, WorkerLink
from .recovery import Recovery
from .request import Request
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
        self._guilty = self.poison.verdicts
        self._tell_queue = metrics.queue
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
            ahead=spec.retry,  # whether a batch had begun nobody could tell if its worker ended
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
            known = self._methods.get(method) or self._unknown(method)
            crashes = self.poison.check(method, args, kwargs) if self._guilty else 0
            context = current_context()
            deadline = inf if context is None else context.deadline
            now, room, lane = self._clock(), self._room, known.last
            if (
                lane is not None
                and not kwargs
                and len(args) == 1
                and type(array := args[0]) is ndarray
                and array.shape == lane.shape
                and array.dtype is lane.dtype
            ):
                count, weight, ragged = lane.count, lane.weight, None
            else:
                lane, count, weight, ragged = self._room.sort(known, args, kwargs)
            if room.rows + weight > known.sure or deadline <= now:
                self._admission.check(known, count or 1, weight, now, deadline, room.rows, self._crew.size)
            if not known.policy.on_arrival(now, weight):
                raise self._admission.late(known, weight)  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the call is awaited
            # Without its traceback: that holds this frame, and with it the arguments.
            return self._refused(error.with_traceback(None))
        request = Request(loop=self._loop)
        request.args = args
        request.count = count
        request.rows = weight
        request.arrival = now
        request.deadline = deadline
        request.lane = lane
        request.route = "" if context is None else context.route
        if kwargs:
            request.kwargs = kwargs
        if crashes:
            request.crashes = crashes
        if ragged is not None:
            request.ragged = ragged
        room.add(request)
        self._tell_queue(room.rows)
        alarm = self._alarm
        if deadline < alarm.deadline:
            alarm.deadline = deadline
            alarm.set(now)
        if not self._scheduled and (self._crew.idle or room.fresh or room.rows >= self._sending.full_at):
            self._schedule()
        return request

    def _refused(self, error: Exception) -> Request:
        request = Request(loop=self._loop)
        request.set_exception(error)
        return request

    @property
    def queue_rows(self) -> int:
        """Rows that wait for a worker."""
        return self._room.rows

    @property
    def in_flight(self) -> int:
        """Workers that hold a batch."""
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
        """The connection is gone; what the worker held is run again, or fails.

        Args:
            reason: for the log and the callers: `connection lost`.
        """
        held = self._crew.remove(link)
        self._recount()
        if held:
            self._answers.crash(held[0], held[1:], reason)

    def close(self) -> None:
        """Fails everything that waits or runs, and drops the workers."""
        self._admission.closed = True
        for method in self._methods.values():
            method.sure = self._admission.sure(method)
        for request in self._room.clear():
            request.fail(failure.stopping())
        self._tell_queue(0)
        for batch in self._crew.batches():
            for request in batch.requests:
                request.fail(failure.stopping())
        for link in self._crew.clear():
            link.abort()
        self._sending.rest(self._clock())

    def _recount(self) -> None:
        for method in self._methods.values():
            method.policy.workers = max(1, self._crew.size)

    # -- requests come and go

    def _withdraw(self, request: Request) -> None:
        """Its caller has gone: it must not reach a model any more."""
        if not self._drop(request):
            for batch in self._crew.batches():
                link = self._crew.holder(batch)
                if link is not None and request in batch.requests:
                    link.cancel(batch.number, [batch.requests.index(request)])
                    break
        self._sending.rest(self._clock())

    def _drop(self, request: Request) -> bool:
        """Takes it out of the queue; False when it does not wait there."""
        if self._room.remove(request):
            request.lane.method.policy.on_cancel(self._clock(), request.rows)
        elif not self._room.remove_again(request):
            return False
        self._tell_queue(self._room.rows)
        return True

    def _unknown(self, name: str) -> NoReturn:
        near = difflib.get_close_matches(name, self._methods, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self._methods) or 'none'}"
        raise UsageError(f"runner {self.spec.name!r} has no method {name!r}; {hint}")

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
        batch = self._crew.running(link)
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
        """What batching has learned and done, as plain JSON values; the keys: `explanation.explain`."""
        return explain(self.spec.name, self._room, self._crew, self._methods, self._clock())
