"""More or fewer processes while the server runs: by its load, or because somebody asks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ...errors import ConfigError, ServerError, TiffinError
from ..manifest import RunnerSpec, ServiceSpec, WorkerRange
from ..metrics import snapshot
from ..roles.division import check_numbers
from ..service.options import nearest
from ..service.workers import parse_workers
from .admin import Scale, Step, Tell
from .autoscaler import SAMPLE_S, Autoscaler
from .generation import Generation
from .house import House
from .memory import own_bytes
from .plan import Plan
from .sampler import sample
from .slot import Slot
from .succession import Succession

logger = logging.getLogger("tiffin.supervisor")

COMMAND = "command"
FAILED = "failed"


class Scaling:
    """Of the generation that serves.

    Args:
        stop: set when the server stops.
    """

    def __init__(self, house: House, succession: Succession, stop: asyncio.Event) -> None:
        self._house = house
        self._succession = succession
        self._stop = stop
        self._changed = asyncio.Event()
        self._scalers: dict[tuple[int, str], Autoscaler] = {}
        self._shrinking: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Another generation serves, or its numbers are others now."""
        plan = self._succession.current.plan
        if plan is not None:
            self._house.workers_wanted(plan.workers)
        self._scalers.clear()
        self._changed.set()

    # by load

    async def follow_load(self) -> None:
        """Until the server stops; without a runner whose number may change it sleeps."""
        self.changed()
        while not self._stop.is_set():
            ranges = self._ranges(self._succession.current)
            self._changed.clear()
            await self._wait(SAMPLE_S if ranges else None)
            # A reload measures nothing: for a while twice the processes share the cores.
            if self._succession.turn.locked() or self._busy_shrinking() or self._stop.is_set():
                self._scalers.clear()
                continue
            self._look(self._succession.current)

    async def _wait(self, limit_s: float | None) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._stop, self._changed)]
        try:
            await asyncio.wait(waits, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _busy_shrinking(self) -> bool:
        return self._shrinking is not None and not self._shrinking.done()

    def _ranges(self, generation: Generation) -> list[RunnerSpec]:
        spec, plan = generation.spec, generation.plan
        if spec is None or plan is None:
            return []
        return [
            runner
            for runner in generation.here
            if plan.runners[runner.name].least < plan.runners[runner.name].most
        ]

    def _look(self, generation: Generation) -> None:
        ranges = self._ranges(generation)
        table = snapshot.read(self._house.path) if ranges else {}
        for runner in ranges:
            spec, plan = generation.spec, generation.plan
            if spec is None or plan is None:
                return
            workers, now = generation.workers[runner.name], time.monotonic()
            scaler = self._scaler(generation, runner, plan)
            broken = [worker for worker in workers[scaler.least :] if worker.error and not worker.up]
            if broken:
                scaler.give_up(broken[0].index, now)
                logger.warning(
                    "%s: back to %d workers, %s does not start", runner.name, scaler.workers, broken[0].name
                )
                self._apply(generation, runner.name, scaler.workers, FAILED)
                continue
            up = sum(worker.up for worker in workers)
            decision = scaler.decide(sample(table, spec.name, runner, at=now, workers=up))
            if decision is not None:
                settled = plan.runners[runner.name]
                logger.info(
                    "%s: %d → %d workers (of %d to %d), %s: %s",
                    *(runner.name, settled.workers, decision.workers, settled.least, settled.most),
                    *(decision.reason, decision.load),
                )
                self._apply(generation, runner.name, decision.workers, decision.reason)

    def _scaler(self, generation: Generation, runner: RunnerSpec, plan: Plan) -> Autoscaler:
        key = (generation.number, runner.name)
        if key not in self._scalers:
            settled = plan.runners[runner.name]
            self._scalers[key] = Autoscaler(
                settled.least, settled.most, workers=settled.workers, cap=runner.max_batch_size
            )
        return self._scalers[key]

    def _apply(self, generation: Generation, runner: str, workers: int, reason: str) -> None:
        if generation.plan is None:
            return
        settled = generation.plan.runners[runner]
        self._house.running[runner] = workers
        changed = {**generation.plan.runners, runner: replace(settled, workers=workers)}
        generation.plan = replace(generation.plan, runners=changed)
        self._house.workers_wanted(generation.plan.workers)
        self._house.has_scaled(runner, reason)
        if workers > settled.workers:
            generation.grow()
        else:
            self._shrinking = asyncio.create_task(generation.shrink())

    # by command

    async def order(self, question: Scale, tell: Tell) -> dict[str, Any]:
        """Answers `bundle scale`.

        Raises:
            ConfigError: no such runner, or no such number; nothing was changed.
            ServerError: the GPUs do not suffice, or a new process does not start; the numbers are as before.
        """
        started = time.monotonic()
        if self._succession.turn.locked():
            tell(Step(text="waiting for a reload to end"))
        async with self._succession.turn:
            generation = self._succession.current
            spec, before = generation.spec, generation.plan
            if spec is None or before is None or not generation.ready.done():
                raise ServerError("the server is still starting: scale it when it is ready")
            wanted = _parsed(spec, question)
            check_numbers(self._house.apart, spec, wanted)
            if self._shrinking is not None:
                await self._shrinking
            kept = dict(self._house.scaled), dict(self._house.running), self._house.processes
            try:
                self._house.scaled = {**self._house.scaled, **wanted}
                self._house.running = {**self._house.running, **before.workers}
                if question.processes is not None:
                    self._house.processes = question.processes
                after = self._house.plan(spec, generation.target, before.allotment)
                await self._change(generation, before, after, tell, question.limit_s)
            except TiffinError:
                self._house.scaled, self._house.running, self._house.processes = kept
                generation.plan = before
                await generation.shrink()
                generation.grow()
                raise
            finally:
                self.changed()
        return {
            **facts(generation),
            "before": _numbers(before),
            "own_bytes": await asyncio.to_thread(own_bytes_of, generation),
            "seconds": round(time.monotonic() - started, 3),
        }

    async def _change(
        self, generation: Generation, before: Plan, after: Plan, tell: Tell, limit_s: float
    ) -> None:
        generation.plan = after
        for name, number in after.workers.items():
            if number != before.workers[name]:
                logger.info("%s: %d → %d workers, %s", name, before.workers[name], number, COMMAND)
                self._house.has_scaled(name, COMMAND)
        if after.processes != before.processes:
            logger.info("%d → %d API processes, %s", before.processes, after.processes, COMMAND)
        tell(Step(text="finishing what those to go have in hand"))
        await generation.shrink()
        fresh = generation.grow()

        def told(up: int) -> None:
            tell(Step(text="starting", done=up, total=len(fresh)))

        await _until_up(generation, fresh, told, limit_s)


def facts(generation: Generation) -> dict[str, Any]:
    """The numbers of processes of a generation, for machines."""
    return _numbers(generation.plan) if generation.plan is not None else {}


def _numbers(plan: Plan) -> dict[str, Any]:
    runners = {
        name: {
            "workers": runner.workers,
            "least": runner.least,
            "most": runner.most,
            "threads": runner.threads,
            "queue_rows": runner.queue_rows,
        }
        for name, runner in plan.runners.items()
    }
    return {"processes": plan.processes, "runners": runners}


def own_bytes_of(generation: Generation) -> dict[str, int]:
    """Runner to the memory that its newest worker holds for itself: what one more takes."""
    found = {}
    for name, workers in generation.workers.items():
        child = workers[-1].child
        own = own_bytes(child.pid) if child is not None else None
        if own is not None:
            found[name] = own
    return found


def _parsed(spec: ServiceSpec, question: Scale) -> dict[str, int | str | WorkerRange]:
    names = [runner.name for runner in spec.runners]
    for name in question.workers:
        if name not in names:
            raise ConfigError(
                f"service {spec.name!r} has no runner {name!r}{nearest(name, names)} "
                f"(it has: {', '.join(names) or 'none'})"
            )
    if question.processes is not None and question.processes < 1:
        raise ConfigError(f"{question.processes} API processes cannot serve: use a number from 1 on")
    return {name: parse_workers(text) for name, text in question.workers.items()}


async def _until_up(
    generation: Generation, fresh: Sequence[Slot], told: Callable[[int], None], limit_s: float
) -> None:
    """Raises ServerError when a new process ends before it is up, or after the limit."""
    end = time.monotonic() + limit_s
    while not all(slot.up for slot in fresh):
        generation.moved.clear()
        told(sum(slot.up for slot in fresh))
        try:
            await asyncio.wait_for(generation.moved.wait(), end - time.monotonic())
        except asyncio.TimeoutError:
            late = ", ".join(slot.name for slot in fresh if not slot.up)
            raise ServerError(f"{late} not ready within {limit_s:g} s: the numbers are as before") from None
        for slot in fresh:
            ended = slot.child is not None and not slot.child.alive
            if not slot.up and (slot.error or ended):
                why = slot.error or "it ended before it was ready; the server's log has its last words"
                raise ServerError(f"{slot.name} does not start, the numbers are as before: {why}")
