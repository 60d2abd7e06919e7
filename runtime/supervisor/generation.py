"""One load of a service: its API processes and workers, from the first start to the drain.

A reload is a second generation on the same listening sockets: it is warmed, and only then does the first go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from ...errors import ServerError, TiffinError, UsageError
from ..manifest import RunnerSpec, ServiceSpec
from .api import Api
from .control import (
    Described,
    Drain,
    Draining,
    Explain,
    Failed,
    Judged,
    Message,
    Pong,
    Ready,
    Stuck,
    Target,
)
from .house import House
from .plan import Plan
from .process import Child, Exit
from .register import Register
from .slot import Slot, stop_all
from .staffing import DRAIN_MARGIN_S, WORKER_DRAIN_S, Staffing
from .verdicts import Verdicts
from .worker import Worker

logger = logging.getLogger("tiffin.supervisor")


class Generation:
    """Starts at once.

    Args:
        title: what the pages call it: a bundle's tag, or `module:Class`.
        number: 1 for the first, one more for each reload.
        spec: of the service; None when nobody knows it yet and the first API process has to tell.
        on_step: told (what happened, processes that are up, processes in all) until all are up.

    Attributes:
        ready: done when every API process serves and every worker is warm; or the error of the first start.
        deaf: set during a drain, when no API process takes new connections any more.
    """

    def __init__(
        self,
        house: House,
        target: Target,
        *,
        title: str = "",
        number: int = 1,
        spec: ServiceSpec | None = None,
        on_step: Callable[[str, int, int], None] = lambda text, up, total: None,  # noqa: ARG005
    ) -> None:
        self.number = number
        self.target = target
        self.title = title
        self.spec = spec
        self.deaf = asyncio.Event()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ready.add_done_callback(_retrieve)
        self.register = Register(house, target, title, counted=number == 1)
        self.apis = self.register.apis
        self.workers = self.register.workers
        self.here: list[RunnerSpec] = []
        """Runners whose workers are started here."""
        self.plan: Plan | None = None
        """Known as soon as `spec` is; what scaling changes it to later."""
        self.moved = asyncio.Event()
        """Set whenever a process comes up or goes down."""
        self._house = house
        self._on_step = on_step
        self._accepting: set[Api] = set()
        self.verdicts = Verdicts()
        self._staffing = Staffing(house, self)
        if spec is None:
            self._staffing.add_api()
        else:
            self._described(spec)

    # the parts

    def _described(self, spec: ServiceSpec) -> None:
        self.spec = spec
        try:
            self.here = self._house.here(spec)
            self.plan = self._house.plan(spec, self.target)
            self.spec = self._house.bounded(spec, self.plan)
        except TiffinError as error:
            self._fail(error)
            return
        for warning in self.plan.warnings:
            logger.warning("%s", warning)
        self.grow()
        self.register.open_metrics(spec)
        self._on_step("the service is imported", 0, len(self.register.slots()))
        self.tell_workers()

    def grow(self) -> list[Slot]:
        """Starts what the plan has more than there is; gives the new places."""
        return self._staffing.grow()

    async def shrink(self) -> None:
        """Takes away what the plan has less than there is; until what they have in hand is finished."""
        await self._staffing.shrink()

    # what the children say

    def api_says(self, slot: Api, child: Child, message: Message) -> None:
        if isinstance(message, Described) and self.spec is None:
            self._described(message.spec)
        elif isinstance(message, Ready):
            slot.ready(child)
        elif isinstance(message, Failed):
            self._child_failed(slot, message)
        elif isinstance(message, Pong):
            slot.heard(child)
        elif isinstance(message, Stuck):
            self._stuck(message)
        elif isinstance(message, Judged):
            self.verdicts.spread(message, child, self.register.answering())
        elif isinstance(message, Draining):
            self._no_longer_accepts(slot)

    def worker_says(self, worker: Worker, child: Child, message: Message) -> None:
        if isinstance(message, Ready):
            worker.ready(child)
        elif isinstance(message, Failed):
            self._child_failed(worker, message)

    def _child_failed(self, slot: Slot, message: Failed) -> None:
        slot.error = (
            f"{message.error}\n\n{message.traceback}".rstrip() if message.traceback else message.error
        )
        if not self.ready.done() and not slot.stopping:
            self._fail(UsageError(slot.error) if message.usage else ServerError(slot.error))

    def _stuck(self, message: Stuck) -> None:
        """Several API processes may say it of the same worker, and late."""
        worker = self.register.meant(message.worker)
        if worker is not None and worker.child is not None:
            logger.warning("%s is stuck: %s", worker.name, message.reason, extra={"pid": worker.child.pid})
            worker.child.kill("stuck")

    # up and down

    def api_up(self, api: Api) -> None:
        self._came_up(api)

    def api_down(self, slot: Api, how: Exit, *, was_ready: bool) -> bool:
        if slot.stopping:
            self._no_longer_accepts(slot)
        return self._down(slot, slot.kind, how, was_ready=was_ready)

    def worker_up(self, worker: Worker) -> None:
        self.register.count_up(worker)
        self.tell_workers()
        self._came_up(worker)

    def worker_down(self, worker: Worker, how: Exit, *, was_ready: bool) -> bool:
        self.register.count_down(worker)
        Path(worker.address).unlink(missing_ok=True)
        self.register.tell_gone(worker)
        self.tell_workers()
        return self._down(worker, worker.runner.name, how, was_ready=was_ready)

    def _down(self, slot: Slot, kind: str, how: Exit, *, was_ready: bool) -> bool:
        self.moved.set()
        pid = slot.child.pid if slot.child else 0
        self._house.retire(slot.name)
        if slot.stopping:
            return False
        # One that was ready once and was killed is no failed start; its next one's own error is.
        if not was_ready and not self.ready.done() and (slot.error or not slot.proven):
            error = slot.error or f"{slot.name} {how} before it was ready; what it had to say is above"
            self._fail(ServerError(error))
            return False
        if was_ready:
            logger.error("%s %s; starting another", slot.name, how, extra={"pid": pid})
        else:
            logger.error("%s failed to start: %s", slot.name, slot.error or how, extra={"pid": pid})
        self._house.restarted(kind, how.reason)
        return True

    def _no_longer_accepts(self, api: Api) -> None:
        """Of a drain; one that leaves because there are too many is no part of it."""
        if api in self._accepting:
            self._accepting.discard(api)
            if not self._accepting:
                self.deaf.set()

    def _fail(self, error: TiffinError) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)

    def _came_up(self, newcomer: Slot) -> None:
        self.moved.set()
        if not self.ready.done() and self.plan is not None:
            slots = self.register.slots()
            self._on_step(f"{newcomer.name} is up", sum(slot.up for slot in slots), len(slots))
        if self.register.all_warm and all(slot.up for slot in self.apis) and not self.ready.done():
            self.ready.set_result(None)

    @property
    def up(self) -> bool:
        """It has been ready, each API process is, and each runner has a warm worker."""
        ready = self.ready.done() and not self.ready.cancelled() and self.ready.exception() is None
        return (
            ready
            and all(slot.up for slot in self.apis)
            and all(any(slot.up for slot in slots) for slots in self.workers.values())
        )

    def tell_workers(self) -> None:
        if self.plan is not None:
            self.register.notice_warmth()
        self.register.tell_apis()

    # while it serves

    def take_over(self) -> None:
        """From now on the metrics tell of this generation."""
        self.register.take_over(self.spec)

    def explain(self) -> None:
        """Has every API process log what batching has learned."""
        for api in self.apis:
            api.send(Explain())

    # the end

    async def drain(self, order: Drain) -> None:
        """API processes finish what is in hand and end; then the workers do."""
        self._accepting = {api for api in self.apis if not api.stopping}
        workers = self.register.all_workers()
        if self._house.apart.role == "worker":  # those who ask are in other containers, and are told by both
            await asyncio.gather(*(stop_all(slots, order, DRAIN_MARGIN_S) for slots in (self.apis, workers)))
        else:
            await stop_all(self.apis, order, DRAIN_MARGIN_S)
        self.deaf.set()
        await stop_all(workers, Drain(limit_s=WORKER_DRAIN_S), 0.0)
        await asyncio.gather(*(slot.ended() for slot in self.register.leaving))

    def hurry(self, order: Drain) -> None:
        """The same, sooner: API processes that drain already take their time no longer than this says."""
        for api in self.apis:
            api.send(order)

    def kill(self) -> None:
        for slot in self.register.slots():
            slot.kill()

    async def ended(self) -> None:
        """Until every process is gone."""
        await asyncio.gather(*(slot.ended() for slot in self.register.slots()))


def _retrieve(ready: asyncio.Future[None]) -> None:
    """A generation that is killed before anybody asked how it went is no error."""
    if not ready.cancelled():
        ready.exception()
