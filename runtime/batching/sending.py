"""Batches leave: the policy of each lane is asked, and what it says is done."""

from __future__ import annotations

from collections.abc import Callable

from . import failure
from .admission import Admission
from .alarm import Alarm
from .crew import Crew
from .deadlines import Deadlines
from .decision import fitting
from .parcel import parcel_of
from .ports import RunnerMetrics
from .recovery import Recovery
from .request import Batch, Lane, Method, Request
from .waiting import WaitingRoom


class Sending:
    """Forms batches as late as possible: when a worker is idle."""

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
    ) -> None:
        self._room = room
        self._crew = crew
        self._alarm = alarm
        self._admission = admission
        self._deadlines = deadlines
        self._recovery = recovery
        self._metrics = metrics
        self._clock = clock
        self._batches = 0

    def turn(self) -> None:
        """Gives every idle worker what it should have now, the lane with the oldest request first."""
        now, room = self._clock(), self._room
        held = []
        while self._crew.idle:
            if room.again:
                batch = room.take_again()
                self._send(batch, now)
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
        self._metrics.queue(room.rows)
        self.rest(now)

    def rest(self, now: float) -> None:
        """Sets the timer for what comes next; clears it when nothing waits and nothing runs."""
        if self._room or self._crew.busy:
            self._alarm.set(now)
        else:
            self._alarm.clear()

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
                self._dispatch(lane, decision.dispatch, decision.reason, now)
                return True
            if method.cost is not None and self._crew.idle and (full := _full(lane)):
                # The policy waits for more weight, and there is no room for more rows.
                method.policy.on_cancel(now, sum(lane[place].rows for place in range(full)))
                self._dispatch(lane, full, "full", now)
                return True
            if decision.wake_at is not None:
                self._alarm.wake = min(self._alarm.wake, decision.wake_at)
            break
        room.fresh.pop(lane, None)
        return not lane.requests

    def _dispatch(self, lane: Lane, number: int, reason: str, now: float) -> None:
        method = lane.method
        number = min(number, len(lane))
        if number > 1:
            number = min(number, fitting(lane, method.max_weight)[0])
            if method.cost is not None:
                number = min(number, _full(lane) or number)
        taken = self._room.take(lane, number)
        self._send(Batch(lane, taken, reason), now)

    def _too_old(self, requests: list[Request], method: Method) -> None:
        wait_s = method.policy.wait_s(method.max_weight + 1)
        for request in requests:
            request.fail(self._admission.refusal("latency", wait_s, "it waited past the latency limit"))

    def _send(self, batch: Batch, now: float) -> None:
        """Sends what is still wanted of a batch to the worker that has been idle longest."""
        requests = batch.requests
        deadlines = [request.deadline for request in requests]
        if min(deadlines) <= now:
            for request in requests:
                if request.deadline <= now:
                    self._deadlines.refuse(request, now, sent=False)
            batch.requests = requests = [request for request in requests if not request.done()]
            if not requests:
                return
            batch.count()
        link = self._crew.next_idle()
        self._batches += 1
        batch.number, batch.worker, batch.started = self._batches, link.id, now
        batch.oldest, batch.stuck_at = requests[0].arrival, max(deadlines) + self._deadlines.grace_s
        batch.alone = requests[0].crashes > 0
        try:
            link.send(parcel_of(batch, now))
        except Exception as error:  # noqa: BLE001 - values of the user's own, of any size and type
            self.again(self._recovery.after_failure(batch, requests, failure.unsendable(error)))
            return
        self._metrics.waited([now - request.arrival for request in requests])
        self._crew.give(batch)
        self._alarm.deadline = min(self._alarm.deadline, batch.stuck_at)


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
