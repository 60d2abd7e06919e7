"""One API process, from the imported service to the drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import ServerError
from .. import logs
from ..batching.dispatcher import STUCK_GRACE_S, Dispatcher
from ..batching.link import HELLO_TIMEOUT_S
from ..batching.poison import Verdict
from ..batching.remote import RemoteRunner
from ..http.explanation import of_process
from ..http.report import report
from ..http.serving import Serving
from ..http.state import ServerState
from ..manifest import ServiceSpec
from ..metrics.metrics import Metrics
from ..roles.elsewhere import Elsewhere
from ..service.context import current_context
from ..service.hooks import READY, START, STOP, run_hooks
from ..service.methods import cost_functions
from ..service.service import ServiceInfo
from ..supervisor.control import (
    Drain,
    Drained,
    Draining,
    Explain,
    Gone,
    Judged,
    Message,
    Ping,
    Pong,
    Ready,
    StartApi,
    Stuck,
    Workers,
)
from .control import Control
from .links import Links
from .listener import Listener

logger = logging.getLogger("tiffin.server")
told = logging.getLogger("tiffin.explain")
"""What somebody asked for: it is written whatever `--log-level` says."""
told.setLevel(logging.INFO)

GC_THRESHOLD = 10_000
"""Objects made and not yet freed before the cycle collector looks. Requests leave no cycles; at the default
of 700 it would look every few requests, which cost about 3 % of the throughput."""


class ApiProcess:
    """The service object, its connections to the workers, and the HTTP server in front of it.

    Args:
        control: nothing but StartApi was read from it.
        spec: with tags resolved; its runners and the ones of `info` have the same names.
    """

    def __init__(self, control: Control, start: StartApi, info: ServiceInfo, spec: ServiceSpec) -> None:
        self._control = control
        self._start = start
        self._info = info
        self._spec = spec
        self._workers = Workers(workers=[], all_warm=False)
        self._announced = False
        """`Ready` was sent: the hooks have run and every worker named so far is connected."""
        self._order: Drain | None = None
        self._changed = asyncio.Event()

    async def serve(self) -> int:
        """Until the supervisor says `Drain` or somebody sends SIGTERM to this process; the exit code."""
        loop = asyncio.get_running_loop()
        with Metrics.open(
            Path(self._start.run_folder), f"api-{self._start.index}", self._spec.name
        ) as metrics:
            dispatchers = self._dispatchers(metrics)
            instance = _make(self._info, dispatchers, loop)
            self._state = ServerState(
                info=self._info,
                spec=self._spec,
                options=self._start.options,
                instance=instance,
                dispatchers=dispatchers,
                metrics=metrics,
                run_folder=Path(self._start.run_folder),
                generation=self._start.generation,
            )
            longest_s = self._spec.longest_request_s(self._start.options.timeout_s)
            patience_s = max(HELLO_TIMEOUT_S, longest_s + STUCK_GRACE_S)
            self._links = Links(dispatchers, self._changed.set, on_stuck=self._stuck, patience_s=patience_s)
            self._elsewhere = Elsewhere(
                self._start,
                self._spec,
                dispatchers,
                metrics=metrics,
                on_change=self._changed.set,
                patience_s=patience_s,
            )
            self._listener = Listener(self._state, self._start.listen_fds)
            logs.set_context_fields(_request_fields)
            loop.add_signal_handler(
                signal.SIGTERM, self._asked_to_end, Drain(limit_s=self._start.options.drain_s)
            )
            self._control.follow(loop, self._heard)
            self._elsewhere.start()
            await run_hooks(instance, self._info, START)
            # Probes want an answer while the first workers load; a later generation must not take traffic
            # from the one before it until it can answer.
            if self._start.generation == 1:
                await self._listener.start()
            if self._start.options.grpc_addresses:
                _ = Serving.of(self._state).door  # its imports must not keep the first caller waiting
            abandoned = await self._drain(await self._until_drain())
            self._control.send(Drained(abandoned=abandoned))
        return 0

    def _dispatchers(self, metrics: Metrics) -> dict[str, Dispatcher]:
        return {
            runner.name: Dispatcher(
                runner,
                metrics=metrics.runner(runner.name),
                costs=cost_functions(self._info.runners[runner.name].cls),
                on_stuck=self._stuck,
                on_verdict=partial(self._judged, runner.name),
            )
            for runner in self._spec.runners
        }

    def _stuck(self, worker: str, reason: str) -> None:
        if not self._elsewhere.report_stuck(worker, reason):
            self._control.send(Stuck(worker=worker, reason=reason))

    def _judged(self, runner: str, verdict: Verdict) -> None:
        self._control.send(Judged(runner=runner, **verdict._asdict()))

    def _heard(self, message: Message) -> None:
        if isinstance(message, Workers):
            self._workers = message
            self._links.follow(message.workers)
            self._changed.set()
        elif isinstance(message, Gone):
            self._links.lose(message.worker)
        elif isinstance(message, Judged):
            verdict = Verdict(message.outline, message.digest, message.until, message.sentence_s)
            self._state.dispatchers[message.runner].poison.learn(verdict)
        elif isinstance(message, Drain):
            self._asked_to_end(message)
        elif isinstance(message, Ping):
            self._control.send(Pong())
        elif isinstance(message, Explain):
            told.info("%s", report(of_process(self._state)))

    def _asked_to_end(self, order: Drain) -> None:
        if self._order is not None:
            self._listener.hurry(order.linger_s)
        self._order = order
        self._changed.set()

    async def _until_drain(self) -> Drain:
        while self._order is None:
            self._changed.clear()
            if not self._announced and self._all_connected():
                await self._announce()
            self._state.ready = self._announced and self._staffed() >= set(self._state.dispatchers)
            self._state.changes.tell()
            await self._changed.wait()
        return self._order

    def _staffed(self) -> set[str]:
        """Runners that have a worker."""
        return self._links.runners() | self._elsewhere.runners()

    def _all_connected(self) -> bool:
        return (
            self._workers.all_warm
            and all(self._links.connected(worker.id) for worker in self._workers.workers)
            and self._elsewhere.complete
        )

    async def _announce(self) -> None:
        await run_hooks(self._state.instance, self._info, READY)
        if self._start.generation > 1:
            await self._listener.start()
        # What was imported and made so far stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 20)
        self._announced = self._state.ready = True
        self._control.send(Ready())

    async def _drain(self, order: Drain) -> int:
        self._state.ready = self._state.ready and order.replaced
        # In this order: who is told to close connects again at once.
        await self._listener.close(accept_first=not order.replaced)
        self._state.draining = True
        self._state.changes.tell()
        self._control.send(Draining())
        abandoned = await self._listener.drain(order.limit_s, order.linger_s)
        if abandoned:
            logger.warning("%d requests were cut off by the end of the drain", abandoned)
        if self._announced:
            with contextlib.suppress(ServerError):  # run_hooks has logged it; the end goes on
                await run_hooks(self._state.instance, self._info, STOP)
        for dispatcher in self._state.dispatchers.values():
            dispatcher.close()
        await asyncio.gather(self._links.close(), self._elsewhere.close())
        return abandoned


def _make(
    info: ServiceInfo, dispatchers: Mapping[str, Dispatcher], loop: asyncio.AbstractEventLoop
) -> object:
    """The service object; its `__init__` finds the remote runners in place."""
    cls: Any = info.cls
    instance = cls.__new__(cls)
    for name, dispatcher in dispatchers.items():
        instance.__dict__[name] = RemoteRunner(dispatcher.spec, dispatcher, loop, info.runners[name].cls)
    instance.__init__()
    made: object = instance
    return made


def _request_fields() -> Mapping[str, Any]:
    context = current_context()
    return {} if context is None else {"request_id": context.id, "trace_id": context.trace_id}
