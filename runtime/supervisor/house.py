"""What all generations of one server share."""

from __future__ import annotations

import itertools
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec

from ..auth.tokens import VARIABLE
from ..manifest import RunnerSpec, ServiceSpec, WorkerRange
from ..metrics import snapshot
from ..metrics.metrics import Metrics
from ..roles import division
from ..roles.options import TOKEN, RoleOptions
from ..service.load import BUNDLE_VARIABLE
from .allotment import Allotment
from .control import Away, Message, ServerOptions, Target
from .gpus import NOT_ASKED, Gpus, detect
from .plan import Plan, plan, wants_gpus
from .process import Child, Reaper
from .room import Room, bounded, memory_bytes
from .run_folder import RunFolder
from .weights import weights_of

logger = logging.getLogger("tiffin.supervisor")

SERVER_MODULE = "tiffin.runtime.server"
WORKER_MODULE = "tiffin.runtime.worker"
GATE_MODULE = "tiffin.runtime.roles"


@dataclass
class House:
    """The sockets, the folder and the numbers that outlive a reload."""

    sockets: list[socket.socket]
    run_folder: RunFolder
    reaper: Reaper
    options: ServerOptions
    cpus: float
    apart: RoleOptions = field(default_factory=RoleOptions)
    gate_sockets: list[socket.socket] = field(default_factory=list)
    """Where a worker container takes frames."""
    processes: int | str | None = None
    """`--processes`"""
    workers: Mapping[str, int | str | WorkerRange] = field(default_factory=dict)
    """`--workers`"""
    scaled: dict[str, int | str | WorkerRange] = field(default_factory=dict)
    """What `bundle scale` has made of that since."""
    running: dict[str, int] = field(default_factory=dict)
    """Workers that the load has called for."""
    source_changes: bool = False
    """The source may be edited while it is served."""
    spawns: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Numbers every worker ever started here, so that no two share an id or a socket."""
    metrics: Metrics | None = None
    """None until the service is known."""

    @cached_property
    def gpus(self) -> Gpus:
        """What may be given to workers; found out when the first service wants some."""
        return detect()

    def plan(self, spec: ServiceSpec, target: Target, allotment: Allotment | None = None) -> Plan:
        """
        Args:
            target: where the service and its models come from.
            allotment: what workers of the service hold already.

        Raises:
            ConfigError: `--workers` names a runner that does not exist, or whose workers are elsewhere.
            ServerError: more GPUs are asked for than there are.
            NotFoundError: a model is not there.
        """
        staffed = msgspec.structs.replace(spec, runners=self.here(spec))
        names = {runner.name for runner in staffed.runners}
        division.check_numbers(self.apart, spec, self.workers)
        scaled = {name: number for name, number in self.scaled.items() if name in names}
        alone = self.apart.role == "worker"  # it has a gate where others have API processes
        return plan(
            staffed,
            cpus=self.cpus,
            gpus=self.gpus if wants_gpus(staffed) else NOT_ASKED,
            processes=1 if alone and self.processes is None else self.processes,
            workers={**(division.fixed(staffed) if alone else {}), **self.workers, **scaled},
            room=Room(memory_bytes(), {one.name: weights_of(one, target) for one in staffed.runners}),
            running=self.running,
            allotment=allotment,
        )

    def bounded(self, spec: ServiceSpec, settled: Plan) -> ServiceSpec:
        """The service with queues that fit into the memory."""
        most = {name: runner.most for name, runner in settled.runners.items()}
        return bounded(spec, most, settled.processes, memory_bytes())

    def here(self, spec: ServiceSpec) -> list[RunnerSpec]:
        """Runners whose workers are started here.

        Raises:
            ConfigError: the options name a runner that does not exist, or leave one without workers.
        """
        return division.here(self.apart, spec)

    @property
    def away(self) -> Away:
        """Where the workers of other runners are."""
        return Away(
            places={runner: list(where) for runner, where in self.apart.workers_at.items()},
            match=self.apart.match,
            token=self.apart.token,
            tls=self.tls,
        )

    @property
    def tls(self) -> tuple[str, str, str, str]:
        files = self.apart.tls
        return files.cert, files.key, files.ca, files.name

    @property
    def path(self) -> Path:
        return self.run_folder.path

    @property
    def port(self) -> int:
        """Where it listens; 0 when the sockets are closed."""
        return int(self.sockets[0].getsockname()[1]) if self.sockets[0].fileno() >= 0 else 0

    @property
    def listen_fds(self) -> list[int]:
        return [opened.fileno() for opened in self.sockets]

    @property
    def gate_fds(self) -> list[int]:
        return [opened.fileno() for opened in self.gate_sockets]

    def spawn_api(self, name: str, bundle: str, on_message: Callable[[Child, Message], None]) -> Child:
        return Child(
            name,
            SERVER_MODULE,
            reaper=self.reaper,
            environ=self._environ(os.environ, bundle),
            pass_fds=tuple(self.listen_fds),
            on_message=on_message,
        )

    def spawn_gate(self, name: str, bundle: str, on_message: Callable[[Child, Message], None]) -> Child:
        return Child(
            name,
            GATE_MODULE,
            reaper=self.reaper,
            environ=self._environ(os.environ, bundle),
            pass_fds=(*self.listen_fds, *self.gate_fds),
            on_message=on_message,
        )

    def spawn_worker(
        self, name: str, bundle: str, environ: Mapping[str, str], on_message: Callable[[Child, Message], None]
    ) -> Child:
        return Child(
            name,
            WORKER_MODULE,
            reaper=self.reaper,
            environ=self._environ(environ, bundle),
            on_message=on_message,
        )

    def open_metrics(self, service: str, bundle: str) -> None:
        """Starts counting; a reload may have given the service another name.

        Args:
            bundle: its tag; empty when none is served.
        """
        if self.metrics is None or self.metrics.service != service:
            self.close_metrics()
            self.metrics = Metrics.open(self.path, "supervisor", service)
        self.metrics.info(bundle)

    def close_metrics(self) -> None:
        if self.metrics is not None:
            self.metrics.close()

    def worker_up(self, runner: str, worker: str, pid: int) -> None:
        if self.metrics is not None:
            self.metrics.worker_up(runner, worker, up=True)
            self.metrics.runs(worker, pid)

    def worker_down(self, runner: str, worker: str) -> None:
        if self.metrics is not None:
            self.metrics.worker_up(runner, worker, up=False)

    def worker_gone(self, runner: str, worker: str) -> None:
        if self.metrics is not None:
            self.metrics.worker_gone(runner, worker)

    def restarted(self, runner: str, reason: str) -> None:
        if self.metrics is not None:
            self.metrics.restarted(runner, reason)

    def workers_wanted(self, numbers: Mapping[str, int]) -> None:
        if self.metrics is not None:
            for runner, number in numbers.items():
                self.metrics.workers_wanted(runner, number)

    def has_scaled(self, runner: str, reason: str) -> None:
        if self.metrics is not None:
            self.metrics.scaled(runner, reason)

    def retire(self, process: str) -> None:
        """Keeps what an ended process has counted."""
        try:
            snapshot.retire(self.path, process)
        except OSError as error:
            logger.warning("metrics of %s cannot be folded: %s", process, error)

    def _environ(self, inherited: Mapping[str, str], bundle: str) -> dict[str, str]:
        environ = {**inherited, BUNDLE_VARIABLE: bundle}
        for secret in (TOKEN, VARIABLE):  # who needs it is told; the user's code and what it starts need not
            environ.pop(secret, None)
        if not bundle:  # models come from the store then; not from a bundle that a parent process served
            del environ[BUNDLE_VARIABLE]
        if self.source_changes:  # bytecode is told apart by whole seconds: two quick edits would be one
            environ["PYTHONDONTWRITEBYTECODE"] = "1"
        return environ
