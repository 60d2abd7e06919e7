"""After a method raised or a worker died: who is told, and who runs again."""

from __future__ import annotations

import logging

from ...errors import ResultMismatchError, ServingError
from ..manifest import RunnerSpec
from . import failure
from .poison import Poison
from .request import Batch, Request

log = logging.getLogger("tiffin.batching")

POISON_CRASHES = 2
"""Workers that a request may end before it is refused."""
MOST_LOSSES = 10
"""Workers that may be lost in a row before they begin a request that they were given alone. Kills do that to
a request once or twice; one that no worker can take in does it every time."""


class Recovery:
    """Answers those that cannot be helped and gives the batches that are to run again, ahead of the queue."""

    def __init__(self, spec: RunnerSpec, poison: Poison) -> None:
        self._runner = spec.name
        self._poison = poison
        self._retry = spec.retry

    def after_failure(self, batch: Batch, asked: list[Request], error: ServingError) -> list[Batch]:
        """The guilty request fails alone: a batch of several is halved and run again until it does.

        Args:
            asked: requests of the batch that the worker did not drop.
        """
        wanted = [request for request in asked if not request.done()]
        if len(asked) == 1 or not self._retry or isinstance(error, ResultMismatchError):
            for request in asked:
                request.fail(error)
            return []
        middle = (len(wanted) + 1) // 2
        return [Batch(batch.lane, half, "bisect") for half in (wanted[:middle], wanted[middle:]) if half]

    def after_crash(self, batch: Batch, reason: str) -> list[Batch]:
        """Each request runs again alone, so that a second crash tells which one it was."""
        again = []
        guilty = batch.begun or not batch.alone  # one that runs alone and never began has done nothing
        for request in batch.requests:
            request.crashes += guilty
            request.losses = 0 if guilty else request.losses + 1
            if request.done():
                continue
            if not self._retry:
                request.fail(failure.crashed(self._runner, reason))
            elif request.crashes >= POISON_CRASHES:
                log.error("poison: a call of %s.%s ended two workers", self._runner, batch.lane.method.name)
                self._poison.condemn(batch.lane.method.name, request.args, dict(request.kwargs))
                request.fail(failure.poison(self._runner))
            elif request.losses >= MOST_LOSSES:
                request.fail(failure.never_begun(self._runner, request.losses, reason))
            else:
                again.append(Batch(batch.lane, [request], "retry", alone=True))
        return again

    def not_begun(self, batch: Batch) -> list[Batch]:
        """A batch that was sent ahead to a worker that ended did nothing: it runs again as it is."""
        wanted = [request for request in batch.requests if not request.done()]
        return [Batch(batch.lane, wanted, "retry")] if wanted else []
