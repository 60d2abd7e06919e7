"""Puts the calls of one API process to one runner into batches and gives every caller its own answer.

Single-threaded: everything happens in callbacks of the loop that made it. Batches are formed as late as
possible: when a worker is idle, and at most one batch of this process is at each worker. There is one timer,
and none at all while nothing waits and nothing runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import difflib
import logging
import time
from collections.abc import Callable, Hashable
from math import inf
from typing import Any

from ...errors import ResultMismatchError, UnavailableError, UsageError
from ..manifest import MethodSpec, RunnerSpec
from ..service.context import current_context
from ..wire.messages import Failure
from ..wire.values import pack
from . import failure, rows
from .admission import Admission
from .alarm import Alarm
from .crew import Crew
from .deadlines import Deadlines
from .parcel import parcel_of
from .policy import Pace, Policy, fitting, max_rows, natural
from .ports import RunnerMetrics, WorkerLink
from .recovery import Recovery
from .request import AGAIN, NO_KWARGS, SENT, WAITING, Batch, Lane, Method, Packed, Request
from .waiting import WaitingRoom

log = logging.getLogger("tiffin.batching")

STUCK_GRACE_S = 5.0
"""How long after the last deadline of its batch a silent worker counts as stuck."""


class Dispatcher:
    """One per runner in each API process; made inside the running loop.

    Args:
        spec: the runner.
        metrics: where to count.
        policy: makes the policy of each method; natural batching when not given.
        clock: monotonic seconds.
        on_stuck: told (worker id, reason), once a batch, of a worker whose batch nobody waits for any more.
        stuck_grace_s: how long after the last deadline of its batch a silent worker counts as stuck.
    """

    def __init__(
        self,
        spec: RunnerSpec,
        *,
        metrics: RunnerMetrics,
        policy: Callable[[MethodSpec], Policy] | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_stuck: Callable[[str, str], None] | None = None,
        stuck_grace_s: float = STUCK_GRACE_S,
    ) -> None:
        self.spec = spec
        self._metrics = metrics
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        # Callbacks must not run in the context of the request that happened to schedule them.
        self._no_request = contextvars.Context()
        self._alarm = Alarm(self._loop, self._no_request, self._rang)
        self._admission = Admission(spec, metrics)
        self._methods = _methods(spec, policy or natural(spec))
        self._room = WaitingRoom()
        self._crew = Crew()
        self._recovery = Recovery(spec)
        self._deadlines = Deadlines(
            spec.name, self._room, self._crew, drop=self._drop, on_stuck=on_stuck, grace_s=stuck_grace_s
        )
        self._requests = 0
        self._batches = 0
        self._scheduled = False
        self._closed = False
        # Lower bounds: nothing is due earlier. They are made exact when the alarm rings, not per request.
        self._next_deadline = inf
        self._next_wake = inf

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
            PoisonRequestError: two workers ended while they ran this request.
            WorkerCrashedError: the worker ended, and the runner has `retry=False`.
            ResultMismatchError: the method returned the wrong number of rows.
            UnavailableError: the server is stopping.
            WireError: the values cannot travel between processes.
            UsageError: no such method, or arguments that are no rows.
        """
        request = self._admit(method, args, kwargs)
        try:
            return await request.future
        except asyncio.CancelledError:
            self._withdraw(request)
            raise
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
            self._run_again(self._recovery.after_crash(batch, reason))
            self._turn()

    def close(self) -> None:
        """Fails everything that waits or runs, and drops the workers."""
        self._closed = True
        for request in self._room.clear():
            self._metrics.queued(-request.rows)
            request.fail(_stopping())
        for batch in self._crew.batches():
            for request in batch.requests:
                request.fail(_stopping())
        for link in self._crew.clear():
            link.abort()
        self._rest(self._clock())

    def _recount(self) -> None:
        for method in self._methods.values():
            method.policy.workers = method.pace.workers = max(1, self._crew.size)

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
        if method.spec.batch:
            size = rows.count(args)
            packed = pack(dict(sorted(kwargs.items()))) if kwargs else NO_KWARGS
            key = (name, rows.shape_key(args), _content(packed))
        else:
            size, packed, key = 1, NO_KWARGS, name
            args = (args, kwargs)
        now, room = self._clock(), self._room
        self._admission.check(method, size or 1, now, deadline, waiting=room.rows, workers=self._crew.size)
        self._requests += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        lane = room.lane(key, method, packed)
        request = Request(self._requests, args, size, now, deadline, future, lane, size or 1)
        room.add(request)
        self._metrics.queued(request.rows)
        self._next_deadline = min(self._next_deadline, deadline)
        if self._crew.idle or room.fresh:
            self._schedule()
        elif deadline < self._alarm.at:
            self._rest(now)
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
        self._rest(self._clock())

    def _drop(self, request: Request) -> None:
        self._room.remove(request)
        self._metrics.queued(-request.rows)
        if request.state == WAITING:
            request.lane.method.policy.on_cancel(self._clock(), request.rows)

    def _no_method(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._methods, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self._methods) or 'none'}"
        return f"runner {self.spec.name!r} has no method {name!r}; {hint}"

    # -- batches leave

    def _schedule(self) -> None:
        """Decides at the end of this turn of the loop, so that all its arrivals go together."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._scheduled_turn, context=self._no_request)

    def _scheduled_turn(self) -> None:
        self._scheduled = False
        self._turn()

    def _turn(self) -> None:
        now, room = self._clock(), self._room
        held = []
        while self._crew.idle:
            if room.again:
                batch = room.take_again()
                self._metrics.queued(-batch.rows)
                self._send(batch.lane, batch.requests, batch.reason, now)
            elif (lane := room.oldest()) is None:
                break
            elif self._ask(lane, now):
                room.put_back(lane)
            else:
                held.append(lane)
        for lane in held:
            room.put_back(lane)
        while room.fresh:
            self._ask(next(iter(room.fresh)), now)
        self._rest(now)

    def _ask(self, lane: Lane, now: float) -> bool:
        """Does what the policy says about a lane; False when it says to wait."""
        room, method = self._room, lane.method
        while lane.requests:
            decision = method.policy.decide(now, lane, self._crew.idle)
            if decision.shed:
                self._too_old(room.take(lane, min(decision.shed, len(lane))), method)
                continue
            if decision.dispatch and self._crew.idle:
                number = min(decision.dispatch, len(lane))
                if number > 1:
                    number = min(number, fitting(lane, method.max_rows)[0])
                taken = room.take(lane, number)
                self._metrics.queued(-sum(request.rows for request in taken))
                self._send(lane, taken, decision.reason, now)
                return True
            lane.wake_at = inf if decision.wake_at is None else decision.wake_at
            self._next_wake = min(self._next_wake, lane.wake_at)
            break
        room.fresh.pop(lane, None)
        return not lane.requests

    def _too_old(self, requests: list[Request], method: Method) -> None:
        wait_s = method.pace.wait_s(method.waiting + method.max_rows + 1)
        for request in requests:
            self._metrics.queued(-request.rows)
            request.fail(self._admission.refusal("latency", wait_s, "it waited past the latency limit"))

    def _send(self, lane: Lane, requests: list[Request], reason: str, now: float) -> None:
        """Sends what is still wanted of these requests to the worker that has been idle longest."""
        wanted = []
        for request in requests:
            if request.deadline <= now:
                self._deadlines.refuse(request, now)
            if request.future.done():
                request.leave()
            else:
                wanted.append(request)
        if not wanted:
            return
        link = self._crew.next_idle()
        self._batches += 1
        alone = wanted[0].crashes > 0
        stuck_at = self._deadlines.stuck_at(wanted)
        batch = Batch(lane, wanted, reason, alone, self._batches, link.id, now, stuck_at)
        try:
            link.send(parcel_of(batch, now))
        except Exception as error:  # noqa: BLE001 - values of the user's own, of any size and type
            self._run_again(self._recovery.after_failure(batch, wanted, failure.unsendable(error)))
            return
        for request in wanted:
            request.state, request.batch = SENT, batch
            self._metrics.waited(now - request.arrival)
        self._crew.give(batch)
        self._next_deadline = min(self._next_deadline, batch.stuck_at)

    # -- answers come back

    def on_result(
        self, link: WorkerLink, number: int, value: Any, model_s: float, dropped: list[int]
    ) -> None:
        """The worker answered: `value` holds the rows of all requests of the batch but the dropped ones.

        Raises:
            WireError: the worker does not hold that batch.
        """
        batch, now = self._crew.take(link, number), self._clock()
        method, asked = batch.lane.method, self._not_dropped(batch, dropped, now)
        service_s = now - batch.started
        method.policy.on_complete(now, batch.rows, service_s)
        method.pace.learn(batch.rows, service_s)
        self._metrics.batch(method.name, batch.rows, batch.reason, model_s)
        if self._room:
            self._turn()  # the worker gets its next batch before this one is shared out
        try:
            parts = rows.split(value, [r.count for r in asked]) if method.spec.batch else [value]
        except ResultMismatchError as error:
            text = f"{self.spec.name}.{method.name}: {error}"
            log.error("%s", text)  # noqa: TRY400 - the message is all there is
            for request in asked:
                request.fail(ResultMismatchError(text))
        else:
            for request, part in zip(asked, parts, strict=True):
                request.succeed(part)
        self._rest(now)

    def on_failure(self, link: WorkerLink, number: int, told: Failure) -> None:
        """The method raised for that batch.

        Raises:
            WireError: the worker does not hold that batch.
        """
        batch, now = self._crew.take(link, number), self._clock()
        self._metrics.batch(batch.lane.method.name, batch.rows, batch.reason, told.model_s)
        asked = self._not_dropped(batch, told.dropped, now)
        self._run_again(self._recovery.after_failure(batch, asked, failure.error_of(told)))
        self._turn()

    def on_begin(self, link: WorkerLink, number: int) -> None:
        """The worker starts a batch that runs alone: should it end now, that batch did it."""
        batch = self._crew.held(link)
        if batch is not None and batch.number == number:
            batch.begun = True

    def _not_dropped(self, batch: Batch, dropped: list[int], now: float) -> list[Request]:
        if not dropped:
            return batch.requests
        gone = set(dropped)
        for place in gone:
            if place < len(batch.requests):
                self._deadlines.refuse(batch.requests[place], now)
        return [request for place, request in enumerate(batch.requests) if place not in gone]

    def _run_again(self, batches: list[Batch]) -> None:
        self._room.run_again(batches)
        self._metrics.queued(sum(batch.rows for batch in batches))

    # -- time passes

    def _rest(self, now: float) -> None:
        """Sets the timer for what comes next; clears it when nothing waits and nothing runs."""
        if not self._room and not self._crew.busy:
            self._next_wake = self._next_deadline = inf
        self._alarm.set(min(self._next_wake, self._next_deadline), now)

    def _rang(self) -> None:
        now = self._clock()
        if now >= self._next_deadline:
            self._next_deadline = self._deadlines.expire(now)
        if now >= self._next_wake:
            self._next_wake = inf
            for lane in self._room.lanes():
                self._room.fresh[lane] = None
        self._turn()


def _methods(spec: RunnerSpec, make: Callable[[MethodSpec], Policy]) -> dict[str, Method]:
    workers = spec.workers if isinstance(spec.workers, int) else 1
    methods = {}
    for name, method in spec.methods.items():
        cap = max_rows(spec, method)
        methods[name] = Method(name, method, cap, make(method), Pace(cap, workers))
    return methods


def _content(packed: Packed) -> bytes:
    """Equal for equal constants."""
    return packed[0] if not packed[1] else b"".join([packed[0], *packed[1]])


def _stopping() -> UnavailableError:
    return UnavailableError("the server is stopping; try again")
