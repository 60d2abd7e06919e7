"""Batches leave: the policy of each lane is asked, and what it says is done."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from . import failure
from .admission import Admission
from .alarm import Alarm
from .crew import Crew, Slot
from .deadlines import Deadlines
from .decision import fitting
from .parcel import parcel_of
from .ports import RunnerMetrics
from .recovery import Recovery
from .request import Batch, Lane, Method, Request
from .waiting import WaitingRoom

AHEAD_S = 0.003
"""A batch that is full leaves that long before a worker will be idle: time for the timer, for a long turn of
the loop and for the way, so that the worker has it when it has answered the one before."""


class Sending:
    """Forms batches as late as possible: when a worker is idle, or about to be and the batch is full anyhow.

    Args:
        ahead: whether a worker may get a batch while it runs another.
    """

    def __init__(
        self,
        room: WaitingRoom,
        crew: Crew,
        alarm: Alarm,
        *,
        admission: Admission,
        deadlines: Deadlines,
        recovery: Recovery,
        metrics: RunnerMetrics,
        clock: Callable[[], float],
        ahead: bool,
    ) -> None:
        self._room = room
        self._crew = crew
        self._alarm = alarm
        self._admission = admission
        self._deadlines = deadlines
        self._recovery = recovery
        self._metrics = metrics
        self._clock = clock
        self._ahead = ahead
        self._batches = 0
        self.full_at = inf
        """When that many rows wait, a batch may be full that was not; asked only while no worker is idle."""

    def turn(self) -> None:
        """Gives every idle worker what it should have now, the lane with the oldest request first."""
        now, room = self._clock(), self._room
        if self._ahead and self._crew.size > 1:
            self._recall(now)
        held = []
        while self._crew.idle:
            if room.again:
                self._send(room.take_again(), self._crew.next_idle(), now)
            elif (lane := room.oldest()) is None:
                break
            elif self._ask(lane, now):
                room.put_back(lane)
            else:
                held.append(lane)
        for lane in held:
            room.put_back(lane)
        self.full_at = inf
        if self._ahead and room and not self._crew.idle:
            self._look_ahead(now)
        while room.fresh:
            self._ask(next(iter(room.fresh)), now)
        self._metrics.queue(room.rows)
        self.rest(now)

    def rest(self, now: float) -> None:
        """Sets the timer for what comes next; clears it when nothing waits and nothing runs."""
        if self._room or self._crew.busy:
            self._alarm.set(now)
        else:
            self._alarm.clear()

    def begin(self, batch: Batch, now: float) -> None:
        """The worker has nothing else to run any more: from now on it is this batch that takes time."""
        requests = batch.requests
        batch.started = now
        last = max([request.deadline for request in requests], default=now)
        batch.stuck_at = max(last, now) + self._deadlines.grace_s
        if requests:
            self._metrics.waited([now - request.arrival for request in requests])
        self._alarm.deadline = min(self._alarm.deadline, batch.stuck_at)

    def again(self, batches: list[Batch]) -> None:
        """Puts batches ahead of everything that waits."""
        if batches:
            self._room.run_again(batches)

    def _ask(self, lane: Lane, now: float) -> bool:
        """Does what the policy says about a lane; False when it says to wait."""
        room, method = self._room, lane.method
        while lane.requests:
            decision = method.policy.decide(now, lane, len(self._crew.idle))
            if decision.shed:
                self._too_old(room.take(lane, min(decision.shed, len(lane))), method)
                continue
            if decision.dispatch and self._crew.idle:
                self._dispatch(lane, decision.dispatch, decision.reason, self._crew.next_idle(), now)
                return True
            if method.cost is not None and self._crew.idle and (full := _full(lane)):
                # The policy waits for more weight, and there is no room for more rows.
                method.policy.on_cancel(now, sum(lane[place].rows for place in range(full)))
                self._dispatch(lane, full, "full", self._crew.next_idle(), now)
                return True
            if decision.wake_at is not None:
                self._alarm.wake = min(self._alarm.wake, decision.wake_at)
            break
        room.fresh.pop(lane, None)
        return not lane.requests

    def _look_ahead(self, now: float) -> None:
        """Sends the next batch ahead if it is full, for then it gains nothing by waiting until a worker is
        idle, and that worker would wait for it; or sets the timer to when it is time to."""
        room, alarm = self._room, self._alarm
        # What runs again may end a worker, and goes to one that has nothing else.
        while not room.again and (lane := room.oldest()) is not None:
            room.put_back(lane)
            policy = lane.method.policy
            missing = policy.cap - lane.rows
            if missing > 0:
                if lane.method.cost is None:
                    self.full_at = room.rows + missing
                return
            slot, ends_at = self._crew.next_to_end(now)
            if slot is None or slot.batch is None or slot.batch.alone or lane[0].crashes:
                return
            if now < ends_at - AHEAD_S:
                alarm.wake = min(alarm.wake, ends_at - AHEAD_S)
                return
            # The policy is asked as it will be when the worker is idle.
            decision = policy.decide(max(now, ends_at), lane, 1)
            if decision.shed:
                self._too_old(room.take(lane, min(decision.shed, len(lane))), lane.method)
            elif decision.dispatch:
                reason = "ahead" if decision.reason == "full" else decision.reason
                self._dispatch(lane, decision.dispatch, reason, slot, now)
                if self._crew.size > 1:
                    alarm.wake = min(alarm.wake, slot.late_at())
            else:
                return

    def _recall(self, now: float) -> None:
        """Takes a batch back from a worker that may never begin it, for there are others."""
        for slot in self._crew:
            batch = slot.following
            if batch is None or not batch.requests:
                continue
            late_at = slot.late_at()
            if now < late_at:
                self._alarm.wake = min(self._alarm.wake, late_at)
                continue
            slot.link.cancel(batch.number, list(range(len(batch.requests))))
            self.again(self._recovery.not_begun(batch))
            batch.requests = []  # the worker still has to answer it
            batch.count()

    def _dispatch(self, lane: Lane, number: int, reason: str, slot: Slot, now: float) -> None:
        method = lane.method
        number = min(number, len(lane))
        if number > 1:
            number = min(number, fitting(lane, method.max_weight)[0])
            if method.cost is not None:
                number = min(number, _full(lane) or number)
        taken = self._room.take(lane, number)
        self._send(Batch(lane, taken, reason), slot, now)

    def _too_old(self, requests: list[Request], method: Method) -> None:
        wait_s = method.policy.wait_s(method.max_weight + 1)
        for request in requests:
            request.fail(self._admission.refusal("latency", wait_s, "it waited past the latency limit"))

    def _send(self, batch: Batch, slot: Slot, now: float) -> None:
        """Sends what is still wanted of a batch to a worker."""
        requests = batch.requests
        if min([request.deadline for request in requests]) <= now:
            for request in requests:
                if request.deadline <= now:
                    self._deadlines.refuse(request, now, sent=False)
            batch.requests = requests = [request for request in requests if not request.done()]
            if not requests:
                return
            batch.count()
        self._batches += 1
        batch.number, batch.worker, batch.started = self._batches, slot.link.id, now
        batch.oldest, batch.ahead = requests[0].arrival, slot.batch is not None
        batch.alone = requests[0].crashes > 0
        try:
            slot.link.send(parcel_of(batch, now))
        except Exception as error:  # noqa: BLE001 - values of the user's own, of any size and type
            self.again(self._recovery.after_failure(batch, requests, failure.unsendable(error)))
            return
        self._crew.give(slot, batch)
        if not batch.ahead:
            self.begin(batch, now)


def _full(lane: Lane) -> int:
    """Requests at the head of a lane that fill a batch with rows, whatever they weigh; 0 when all fit in."""
    rows, most = 0, lane.method.max_rows
    for number, request in enumerate(lane.requests):
        rows += request.size
        if rows > most:
            return max(1, number)
        if rows == most:
            return number + 1
    return 0
