"""The generation that serves now, and how the next one takes its place without a request lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ...errors import ServerError
from .control import Drain
from .generation import Generation
from .house import House
from .staffing import LINGER_S
from .subject import Subject

START_LIMIT_S = 600.0
"""A generation that is not ready by then is given up: each runner has its own `start_timeout_s`, but the
user's imports and hooks in an API process have none."""

OnStep = Callable[[str, int, int], None]


class Succession:
    """Starts the first generation at once.

    Args:
        drain_s: longest that requests in the hands of a replaced generation may take.
        stop: set when the server stops; nothing takes over then.

    Attributes:
        current: the generation that serves, or starts as the first.
        subject: what it serves.
        turn: held by whoever changes what runs.
    """

    def __init__(self, house: House, subject: Subject, *, drain_s: float, stop: asyncio.Event) -> None:
        self.subject = subject
        self._house = house
        self._drain_s = drain_s
        self._stop = stop
        self._generations = 0
        self.turn = asyncio.Lock()
        self._old: dict[Generation, asyncio.Task[None]] = {}
        self.current = self._generation(subject)

    def _generation(self, subject: Subject, **more: Any) -> Generation:
        self._generations += 1
        return Generation(
            self._house,
            subject.target,
            title=subject.title,
            number=self._generations,
            spec=subject.spec,
            **more,
        )

    async def first(self) -> None:
        """Until the first generation is ready, or the server stops.

        Raises:
            TiffinError: it failed to start.
        """
        await self._unless_stopped(self.current.ready, None)

    async def replace(
        self,
        subject: Subject,
        *,
        on_step: OnStep = lambda text, up, total: None,  # noqa: ARG005
        limit_s: float = START_LIMIT_S,
        linger_s: float = LINGER_S,
    ) -> None:
        """Starts a generation, warms it, and lets it take over; the one before then finishes what it has.

        Cancelled, or when the new one does not start, everything is as it was.

        Args:
            on_step: told (what happened, processes up, processes in all).
            limit_s: longest until it is ready, in seconds.
            linger_s: longest that silent connections of the old generation are kept, in seconds.

        Raises:
            TiffinError: why it did not start.
        """
        if self.turn.locked():
            on_step("waiting for another reload to end", 0, 0)
        async with self.turn:
            if not self.current.ready.done():
                raise ServerError("the server is still starting: reload it when it is ready")
            fresh = self._generation(subject, on_step=on_step)
            try:
                await self._unless_stopped(fresh.ready, limit_s)
                if self._stop.is_set():
                    raise ServerError("the server is stopping")
                if not fresh.ready.done():
                    raise ServerError(f"it was not ready within {limit_s:g} s")
                old, self.current, self.subject = self.current, fresh, subject
            finally:
                if fresh is not self.current:
                    fresh.kill()
                    await fresh.ended()
            fresh.take_over()
            self._old[old] = asyncio.create_task(self._put_away(old, linger_s))
            await old.deaf.wait()

    async def _unless_stopped(self, future: asyncio.Future[None], limit_s: float | None) -> None:
        """Waits for it, or until the server stops; raises what it raises."""
        stop: asyncio.Future[Any] = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({future, stop}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        if future.done():
            await future

    async def _put_away(self, old: Generation, linger_s: float) -> None:
        await old.drain(Drain(limit_s=self._drain_s, linger_s=linger_s, replaced=True))
        del self._old[old]
        for runner, workers in old.workers.items():
            kept = len(self.current.workers.get(runner, []))
            for worker in workers[kept:]:
                self._house.worker_gone(runner, worker.name)

    def explain(self) -> None:
        """Has every API process log what batching has learned."""
        for generation in (*self._old, self.current):
            generation.explain()

    # the end

    async def drain(self) -> None:
        """Every generation finishes what it has and ends."""
        order = Drain(limit_s=self._drain_s)
        for generation in self._old:
            generation.hurry(order)
        await asyncio.gather(self.current.drain(order), *self._old.values())

    def kill(self) -> None:
        for generation in (*self._old, self.current):
            generation.kill()

    async def ended(self) -> None:
        await asyncio.gather(*(generation.ended() for generation in (*self._old, self.current)))
