"""How the processes of a generation are started and taken away, as many as its plan says."""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

from ..manifest import RunnerSpec, ServiceSpec
from .api import Api, Gate
from .control import Drain, Message, Target
from .house import House
from .plan import Plan
from .process import Child, Exit
from .pulse import Pulse
from .register import Register
from .room import bodies_bytes, memory_bytes
from .slot import Slot, cut, stop_all
from .verdicts import Verdicts
from .worker import Worker

DRAIN_MARGIN_S = 2.0
"""An API process keeps the limit of a drain itself; this much later it is taken for hung."""
WORKER_DRAIN_S = 5.0
"""Nobody asks a worker any more when it is drained: it only has to put itself away."""
LINGER_S = 10.0
"""How long a caller may pause between two requests on one connection and still be answered by the process
that accepted it, when others take its place: its answers then say `connection: close`."""


class Employer(Protocol):
    """The generation that they work for: what it knows, and what it is told of them."""

    number: int
    target: Target
    title: str
    spec: ServiceSpec | None
    here: list[RunnerSpec]
    plan: Plan | None
    register: Register
    verdicts: Verdicts

    def tell_workers(self) -> None: ...
    def api_up(self, api: Api) -> None: ...
    def api_down(self, api: Api, how: Exit, *, was_ready: bool) -> bool: ...
    def api_says(self, api: Api, child: Child, message: Message) -> None: ...
    def worker_up(self, worker: Worker) -> None: ...
    def worker_down(self, worker: Worker, how: Exit, *, was_ready: bool) -> bool: ...
    def worker_says(self, worker: Worker, child: Child, message: Message) -> None: ...


class Staffing:
    """Adds places and takes them away; who has one is in the employer's register."""

    def __init__(self, house: House, employer: Employer) -> None:
        self._house = house
        self._employer = employer
        self._register = employer.register
        self._options = msgspec.structs.replace(house.options, title=employer.title)

    def grow(self) -> list[Slot]:
        """Adds what the plan has more than there is; gives the new places."""
        employer, register = self._employer, self._register
        before = set(register.slots())
        if employer.plan is None or employer.spec is None:
            return []
        for runner in employer.here:
            slots = register.workers.setdefault(runner.name, [])
            while len(slots) < employer.plan.runners[runner.name].workers:
                slots.append(self._add_worker(runner, len(slots), employer.plan))
        while len(register.apis) < employer.plan.processes:
            self.add_api()
        return [slot for slot in register.slots() if slot not in before]

    async def shrink(self) -> None:
        """Takes away what the plan has less than there is; until what they have in hand is finished.

        Workers take no batch any more, API processes no connection.
        """
        employer, register = self._employer, self._register
        if employer.plan is None or employer.spec is None:
            return
        workers = [
            worker
            for name, slots in register.workers.items()
            for worker in cut(slots, employer.plan.runners[name].workers)
        ]
        apis = cut(register.apis, employer.plan.processes)
        register.leaving.update(workers, apis)
        employer.tell_workers()  # first of all: what comes now goes elsewhere
        await asyncio.gather(
            stop_all(workers, Drain(limit_s=self._longest_request_s()), DRAIN_MARGIN_S),
            stop_all(
                apis, Drain(limit_s=self._options.drain_s, linger_s=LINGER_S, replaced=True), DRAIN_MARGIN_S
            ),
        )
        register.leaving.difference_update(workers, apis)
        for worker in workers:
            self._house.worker_gone(worker.runner.name, worker.name)

    def add_api(self) -> None:
        """One API process more, or the gate."""
        employer = self._employer
        kind = Gate if self._house.apart.role == "worker" else Api
        api = kind(
            len(self._register.apis),
            launch=lambda: self._launch_api(api),
            on_up=lambda: employer.api_up(api),
            on_down=lambda how, was_ready: employer.api_down(api, how, was_ready=was_ready),
            # Who edits the source may hold a process in a debugger.
            pulse=None if self._house.source_changes else Pulse(self._longest_request_s),
        )
        self._register.apis.append(api)

    def _add_worker(self, runner: RunnerSpec, index: int, plan: Plan) -> Worker:
        employer = self._employer
        worker = Worker(
            runner,
            index,
            threads=plan.runners[runner.name].threads,
            devices=plan.allotment.of(runner.name)[index],
            launch=lambda: worker.spawn(
                self._house,
                employer.target,
                self._options,
                lambda child, message: employer.worker_says(worker, child, message),
            ),
            on_up=lambda: employer.worker_up(worker),
            on_down=lambda how, was_ready: employer.worker_down(worker, how, was_ready=was_ready),
        )
        return worker

    def _launch_api(self, api: Api) -> Child:
        employer = self._employer
        share = bodies_bytes(memory_bytes(), 1 if employer.plan is None else employer.plan.processes)
        child = api.spawn(
            self._house,
            employer.target,
            msgspec.structs.replace(self._options, max_bodies_bytes=share),
            lambda child, message: employer.api_says(api, child, message),
            spec=employer.spec,
            generation=employer.number,
        )
        child.send(self._register.addresses())
        for verdict in employer.verdicts:
            child.send(verdict)
        return child

    def _longest_request_s(self) -> float:
        """Nobody waits longer than this."""
        spec = self._employer.spec
        longest_s = 0.0 if spec is None else spec.longest_request_s(self._options.timeout_s)
        return longest_s or WORKER_DRAIN_S
