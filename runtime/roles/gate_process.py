"""One gate process, from the start of its container to the drain."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import msgspec

from ..manifest import ServiceSpec
from ..metrics.exposition import render
from ..metrics.metrics import Metrics
from ..server.control import Control
from ..supervisor.control import (
    Drain,
    Drained,
    Draining,
    Gone,
    Message,
    Ping,
    Pong,
    Ready,
    StartGate,
    Stuck,
    Workers,
)
from .division import here
from .gate import Gate
from .health import Answer, Health
from .metrics import GateMetrics
from .options import RoleOptions, TlsFiles
from .terms import terms_of
from .tls import of_workers

_JSON = "application/json"


class GateProcess:
    """
    Args:
        control: nothing but StartGate was read from it.
        spec: with tags resolved.
    """

    def __init__(self, control: Control, start: StartGate, spec: ServiceSpec) -> None:
        self._control = control
        self._start = start
        self._spec = spec
        options = RoleOptions(role="worker", runners=tuple(start.runners), token=start.token)
        self._runners = here(options, spec)
        self._workers = Workers(workers=[], all_warm=False)
        self._announced = False
        self._order: Drain | None = None
        self._changed = asyncio.Event()

    async def serve(self) -> int:
        """Until the supervisor says `Drain` or somebody sends SIGTERM to this process; the exit code."""
        loop, start = asyncio.get_running_loop(), self._start
        with Metrics.open(Path(start.run_folder), f"gate-{start.index}", self._spec.name) as metrics:
            self._gate = Gate(
                [socket.socket(fileno=descriptor) for descriptor in start.gate_fds],
                instance=f"{socket.gethostname()}/{Path(start.run_folder).name}/{start.generation}",
                ours=terms_of(self._runners, start.target, start.options.title),
                token=start.token,
                tls=of_workers(TlsFiles(*start.tls)),
                metrics=GateMetrics(metrics),
                on_stuck=lambda worker, reason: self._control.send(Stuck(worker=worker, reason=reason)),
            )
            health = Health(
                [socket.socket(fileno=descriptor) for descriptor in start.listen_fds],
                {
                    "/livez": _live,
                    "/readyz": self._readiness,
                    "/healthz": self._readiness,
                    "/metrics": self._page,
                },
            )
            loop.add_signal_handler(signal.SIGTERM, self._asked_to_end, Drain(limit_s=start.options.drain_s))
            self._control.follow(loop, self._heard)
            # A later generation must not take connections from the one before it until it can answer.
            if start.generation == 1:
                await health.start()
                self._gate.start()
            while self._order is None:
                self._changed.clear()
                if self._workers.all_warm and not self._announced:
                    if start.generation > 1:
                        await health.start()
                    self._gate.start()
                    self._announced = True
                    self._control.send(Ready())
                await self._changed.wait()
            self._control.send(Draining())
            await self._gate.close(self._order.limit_s)
            health.close()
            self._control.send(Drained())
        return 0

    def _heard(self, message: Message) -> None:
        if isinstance(message, Workers):
            self._workers = message
            self._gate.follow(message.workers)
            self._changed.set()
        elif isinstance(message, Gone):
            self._gate.lose(message.worker)
        elif isinstance(message, Ping):
            self._control.send(Pong())
        elif isinstance(message, Drain):
            self._asked_to_end(message)

    def _asked_to_end(self, order: Drain) -> None:
        self._order = order
        self._changed.set()

    # for probes

    def _readiness(self, _accept: str) -> Answer:
        up = self._gate.runners()
        reasons = [f"runner {one.name!r} has no warm worker" for one in self._runners if one.name not in up]
        if self._order is not None:
            reasons = ["the container is stopping"]
        document = {
            "live": True,
            "ready": not reasons,
            "reasons": reasons,
            "service": self._spec.name,
            "role": "worker",
            "generation": self._start.generation,
            "runners": {
                one.name: {"workers": sum(each.runner == one.name for each in self._workers.workers)}
                for one in self._runners
            },
        }
        return (503 if reasons else 200), _JSON, msgspec.json.encode(document)

    def _page(self, accept: str) -> Answer:
        page, kind = render(Path(self._start.run_folder), accept)
        return 200, kind, page


def _live(_accept: str) -> Answer:
    return 200, _JSON, b'{"live":true}'
