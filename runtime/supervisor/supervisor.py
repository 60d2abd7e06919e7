"""The supervisor: one server from the first start through reloads to the drain."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from ...errors import TiffinError
from .. import cgroup
from ..manifest import ServiceSpec
from .control import ServerOptions, Target
from .generation import Generation
from .gpus import devices
from .house import House
from .options import Event, EventKind, ServeOptions
from .process import Reaper
from .reload import watch
from .run_folder import RunFolder
from .sockets import url

logger = logging.getLogger("tiffin.supervisor")

MAX_NAMED_FILES = 3
"""Changed files named in the log of a reload."""


class Supervisor:
    """Starts the first generation, swaps in later ones, and drains at the end.

    Args:
        title: what the pages call it: a bundle's tag, or `module:Class`.
        spec: of the service; None when it has to be imported to know.
        started: `time.monotonic()` when the command began.
    """

    def __init__(
        self, target: Target, *, title: str, spec: ServiceSpec | None, options: ServeOptions, started: float
    ) -> None:
        self._target = target
        self._title = title
        self._spec = spec
        self._options = options
        self._started = started
        self._source = Path(target.source).resolve()
        self._signal = 0
        self._generations = 0
        self._old: dict[Generation, asyncio.Task[None]] = {}

    async def run(self, sockets: list[socket.socket], run_folder: RunFolder) -> int:
        """Until a signal ends it; the exit code.

        Raises:
            TiffinError: the first start failed; every process is ended.
        """
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # `nohup` means it
                loop.add_signal_handler(number, self._signalled, number)
        reaper = Reaper(loop, cgroup.oom_kills)
        self._house = House(
            sockets=sockets,
            run_folder=run_folder,
            reaper=reaper,
            options=self._server_options(url(sockets)),
            cpus=cgroup.cpu_count(),
            devices=devices(),
            processes=self._options.processes,
            workers=self._options.workers,
            source_changes=self._options.reload,
        )
        self._emit("listening", url=self._house.options.url, pid=os.getpid())
        watching = await self._watch() if self._options.reload else None
        self._current = self._generation(self._spec)
        try:
            await self._serve(watching)
        finally:
            for generation in (*self._old, self._current):
                generation.kill()
                await generation.ended()
            self._stop.set()
            if watching is not None:
                await asyncio.wait({watching})
            reaper.close()
            self._house.close_metrics()
        self._emit("stopped")
        return 128 + self._signal if self._stop_now.is_set() else 0

    def _server_options(self, address: str) -> ServerOptions:
        options = self._options
        return ServerOptions(
            log_format=options.log_format,
            log_level=options.log_level,
            access_log=options.access_log,
            drain_s=options.drain_s,
            timeout_s=options.timeout_s,
            title=self._title,
            url=address,
        )

    def _generation(self, spec: ServiceSpec | None) -> Generation:
        self._generations += 1
        return Generation(
            self._house,
            self._target,
            number=self._generations,
            spec=spec,
            on_described=lambda spec: self._house.open_metrics(
                spec.name, self._title if self._target.bundle else ""
            ),
        )

    def _signalled(self, number: int) -> None:
        self._signal = number
        if self._stop.is_set():
            self._stop_now.set()
        self._stop.set()

    def _emit(self, kind: EventKind, **fields: Any) -> None:
        self._options.on_event(Event(kind, fields))

    async def _serve(self, watching: asyncio.Task[None] | None) -> None:
        await self._unless_stopped(self._current.ready)
        if self._stop.is_set():
            return
        self._emit("ready", **self._facts(self._started))
        if watching is not None:
            await self._follow_source(watching)
        await self._stop.wait()
        self._emit("draining", limit_s=self._options.drain_s)
        # Nobody will accept from here any more: a connection must be refused then, not wait and be cut off.
        for opened in self._house.sockets:
            opened.close()
        drain = asyncio.gather(self._current.drain(self._options.drain_s), *self._old.values())
        now: asyncio.Future[Any] = asyncio.ensure_future(self._stop_now.wait())
        await asyncio.wait({drain, now}, return_when=asyncio.FIRST_COMPLETED)
        now.cancel()
        if not drain.done():
            for generation in (*self._old, self._current):
                generation.kill()
        await drain

    async def _unless_stopped(self, future: asyncio.Future[None]) -> None:
        """Waits for it, or until a signal comes; raises what it raises."""
        stop: asyncio.Future[Any] = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({future, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if future.done():
            await future

    def _facts(self, started: float) -> dict[str, Any]:
        """What a person wants to know once it runs."""
        spec, settled = self._current.spec, self._current.plan
        if spec is None or settled is None:
            return {}
        runners = {
            name: {"workers": count, "threads": settled.threads[name]}
            for name, count in settled.workers.items()
        }
        return {
            "service": spec.name,
            "title": self._title,
            "url": self._house.options.url,
            "seconds": round(time.monotonic() - started, 3),
            "processes": settled.processes,
            "runners": runners,
            "routes": [api.route for api in spec.apis],
        }

    # reload

    async def _watch(self) -> asyncio.Task[None]:
        """Watches before anything is imported, so that an edit during the start counts too."""
        self._changes: asyncio.Queue[list[str]] = asyncio.Queue()
        watching = asyncio.create_task(watch(self._source, self._stop, self._changes.put_nowait))
        await asyncio.sleep(0)
        return watching

    async def _follow_source(self, watching: asyncio.Task[None]) -> None:
        """Until a signal comes: every change starts an attempt; one that is still starting is given up."""
        attempt: asyncio.Task[None] | None = None
        stop: asyncio.Future[Any] = asyncio.ensure_future(self._stop.wait())
        while not stop.done() and not watching.done():
            change: asyncio.Future[Any] = asyncio.ensure_future(self._changes.get())
            await asyncio.wait({change, stop, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not change.done():
                change.cancel()
                continue
            if attempt is not None and not attempt.done():
                attempt.cancel()
                await asyncio.wait({attempt})
            attempt = asyncio.create_task(self._reload(change.result()))
        if watching.done() and not watching.cancelled() and watching.exception() is not None:
            logger.error("the source is not watched any more: %s", watching.exception())
        await stop
        if attempt is not None:
            await asyncio.wait({attempt})

    async def _reload(self, files: list[str]) -> None:
        started = time.monotonic()
        more = f" and {len(files) - MAX_NAMED_FILES} more" if len(files) > MAX_NAMED_FILES else ""
        self._emit("reloading", files=files)
        logger.info("%s%s changed, reloading", ", ".join(files[:MAX_NAMED_FILES]), more)
        fresh = self._generation(None)
        try:
            await self._unless_stopped(fresh.ready)
        except TiffinError as error:
            logger.error("the change does not work, the version before it keeps serving\n%s", error)  # noqa: TRY400 - it says all
            self._emit("reload failed", error=str(error))
        else:
            if fresh.ready.done():
                await self._swap(fresh, started)
        finally:
            if fresh is not self._current:
                fresh.kill()
                await fresh.ended()

    async def _swap(self, fresh: Generation, started: float) -> None:
        old, self._current = self._current, fresh
        self._old[old] = asyncio.create_task(self._put_away(old))
        await old.deaf.wait()
        facts = self._facts(started)
        logger.info("reloaded in %.2f s", facts["seconds"])
        self._emit("reloaded", **facts)

    async def _put_away(self, old: Generation) -> None:
        await old.drain(self._options.drain_s)
        del self._old[old]
        for runner, workers in old.workers.items():
            kept = len(self._current.workers.get(runner, []))
            for worker in workers[kept:]:
                self._house.worker_gone(runner, worker.name)
