"""What happens when time is up: callers are answered, workers are told, a stuck worker is reported."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf

from . import failure
from .crew import Crew
from .request import Batch, Request
from .waiting import WaitingRoom

log = logging.getLogger("tiffin.batching")


class Deadlines:
    """Looks at everything that waits or runs; called about once a deadline, never once a request.

    Args:
        drop: takes a waiting request out of the queue.
        on_stuck: told (worker id, reason).
        grace_s: how long after the last deadline of its batch a silent worker counts as stuck.
    """

    def __init__(
        self,
        runner: str,
        room: WaitingRoom,
        crew: Crew,
        *,
        drop: Callable[[Request], bool],
        on_stuck: Callable[[str, str], None] | None,
        grace_s: float,
    ) -> None:
        self._runner = runner
        self._room = room
        self._crew = crew
        self._drop = drop
        self._on_stuck = on_stuck
        self.grace_s = grace_s
        """How long after the last deadline of its batch a silent worker counts as stuck."""

    def expire(self, now: float) -> float:
        """Answers all whose time is up; gives the time at which the next will be, `inf` for never."""
        following = inf
        for request in list(self._room.requests()):
            if request.deadline <= now:
                self._drop(request)
                self.refuse(request, now, sent=False)
            else:
                following = min(following, request.deadline)
        for batch in self._crew.batches():
            following = min(following, self._expire_sent(batch, now))
        return following

    def refuse(self, request: Request, now: float, *, sent: bool) -> None:
        """Answers one whose time is up."""
        if sent or self._crew.size:
            request.fail(failure.late(self._runner, now - request.arrival, sent=sent))
        else:
            request.fail(failure.nobody(self._runner))

    def _expire_sent(self, batch: Batch, now: float) -> float:
        late = []
        for place, request in enumerate(batch.requests):
            if request.deadline <= now and not request.done():
                late.append(place)
                self.refuse(request, now, sent=True)
        link = self._crew.holder(batch)
        if late and link is not None:
            link.cancel(batch.number, late)
        if batch.stuck_at <= now and not batch.reported:
            batch.reported = True
            self._report(batch, now)
        ahead = [request.deadline for request in batch.requests if not request.done()]
        return min(ahead, default=inf if batch.reported else batch.stuck_at)

    def _report(self, batch: Batch, now: float) -> None:
        reason = (
            f"holds a batch of {batch.lane.method.name!r} for {now - batch.started:.1f} s, "
            f"{self.grace_s:g} s past the deadline of every request in it"
        )
        log.warning("worker %s is stuck: it %s", batch.worker, reason)
        if self._on_stuck is not None:
            self._on_stuck(batch.worker, reason)
