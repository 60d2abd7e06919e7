"""Answers come back: every caller gets its own rows, or the error that is its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ResultMismatchError
from ..wire.messages import Failure
from . import failure, rows
from .admission import Admission
from .crew import Crew
from .deadlines import Deadlines
from .poison import Poison
from .ports import RunnerMetrics, WorkerLink
from .recovery import Recovery
from .request import Batch, Method, Request
from .sending import Sending
from .waiting import WaitingRoom

log = logging.getLogger("tiffin.batching")


class Answers:
    def __init__(
        self,
        runner: str,
        room: WaitingRoom,
        crew: Crew,
        sending: Sending,
        *,
        admission: Admission,
        deadlines: Deadlines,
        recovery: Recovery,
        poison: Poison,
        metrics: RunnerMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._runner = runner
        self._room = room
        self._crew = crew
        self._sending = sending
        self._admission = admission
        self._deadlines = deadlines
        self._recovery = recovery
        self._poison = poison
        self._metrics = metrics
        self._clock = clock

    def result(self, link: WorkerLink, number: int, value: Any, model_s: float, dropped: list[int]) -> None:
        """See `Dispatcher.on_result`."""
        (batch, following), now = self._crew.take(link, number), self._clock()
        method, asked = batch.lane.method, self._not_dropped(batch, dropped, now)
        if batch.ahead:  # the answer to the one before may have come late, and both at once
            batch.started = min(batch.started, now - model_s)
        if asked:
            weight = batch.weight if not dropped else sum([request.rows for request in asked])
            method.policy.on_complete(now, weight, now - batch.started)
            method.sure = self._admission.sure(method)
        if following is not None:
            self._sending.begin(following, now)
        if self._room:
            self._sending.turn()  # the worker gets its next batch before anything is done for this one
        if batch.requests:  # else it was taken back
            method.journal.note(batch, now, failed=False)
            self._metrics.batch(method.name, batch.rows, batch.reason, model_s)
            if asked:
                self._hand_out(method, value, asked)
                way_s = max(0.0, now - batch.started - model_s)
                self._metrics.answered(method.name, asked, batch.started, model_s, way_s)
        self._sending.rest(now)

    def _hand_out(self, method: Method, value: Any, asked: list[Request]) -> None:
        try:
            parts = _shared_out(method, value, asked)
        except ResultMismatchError as error:
            text = f"{self._runner}.{method.name}: {error}"
            log.error("%s", text)  # noqa: TRY400 - the message is all there is
            for request in asked:
                request.fail(ResultMismatchError(text))
            return
        for request, part in zip(asked, parts, strict=True):
            if not request.done():
                request.set_result(part)
        if self._poison:
            for request in asked:
                self._poison.clear(method.name, request.args, dict(request.kwargs))

    def failure(self, link: WorkerLink, number: int, told: Failure) -> None:
        """See `Dispatcher.on_failure`."""
        (batch, following), now = self._crew.take(link, number), self._clock()
        if following is not None:
            self._sending.begin(following, now)
        if batch.requests:
            batch.lane.method.journal.note(batch, now, failed=True)
            self._metrics.batch(batch.lane.method.name, batch.rows, batch.reason, told.model_s)
        asked = self._not_dropped(batch, told.dropped, now)
        self._sending.again(self._recovery.after_failure(batch, asked, failure.error_of(told)))
        self._sending.turn()

    def crash(self, batch: Batch, following: list[Batch], reason: str) -> None:
        """The worker ended while it ran the batch; what was sent ahead it had not begun."""
        if batch.requests:
            batch.lane.method.journal.note(batch, self._clock(), failed=True)
        again = [one for each in following for one in self._recovery.not_begun(each)]
        self._sending.again(again + self._recovery.after_crash(batch, reason))
        self._sending.turn()

    def _not_dropped(self, batch: Batch, dropped: list[int], now: float) -> list[Request]:
        if not dropped:
            return batch.requests
        gone = set(dropped)
        for place in gone:
            if place < len(batch.requests):
                self._deadlines.refuse(batch.requests[place], now, sent=True)
        return [request for place, request in enumerate(batch.requests) if place not in gone]


def _shared_out(method: Method, value: Any, asked: list[Request]) -> list[Any]:
    """Each request's own part of the result.

    Raises:
        ResultMismatchError: it cannot be told apart.
    """
    if not method.spec.batch:
        return [value]
    if method.padding is not None:
        return method.padding.split(value, [request.ragged for request in asked])
    counts = [request.count for request in asked]
    if type(value) is np.ndarray and value.ndim and len(value) == len(counts) == counts.count(1):
        # What `split` gives for one row each, at a third of the time.
        return [value] if len(counts) == 1 else list(value[:, None])
    return rows.split(value, counts)
