"""The supervisor: one server from the first start through reloads to the drain."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...errors import ConfigError, ServerError, TiffinError
from .. import cgroup
from ..auth.tokens import VARIABLE, digests_only
from ..home import home
from .admin import Admin, Identity, Reload, Scale, Step, Tell, WhoAreYou
from .control import ServerOptions
from .house import House
from .options import Event, EventKind, ServeOptions
from .process import Reaper
from .reload import watch
from .run_folder import RunFolder
from .scaling import Scaling, facts, own_bytes_of
from .sockets import near, place, places, url
from .subject import Subject, look_up
from .succession import START_LIMIT_S, Succession
from .terminal import Terminal

logger = logging.getLogger("tiffin.supervisor")

MAX_NAMED_FILES = 3
"""Changed files named in the log of a reload."""
EDIT_LINGER_S = 0.2
"""Who edits the source does not want old processes to wait for the idle connections of a browser."""


def _tell_nobody(step: Step) -> None:
    """Steps of a reload that a signal asked for."""


class Supervisor:
    """Starts the first generation, swaps in later ones, and drains at the end.

    Args:
        started: `time.monotonic()` when the command began.
    """

    def __init__(self, subject: Subject, *, options: ServeOptions, started: float) -> None:
        self._subject = subject
        self._options = options
        self._started = started
        self._source = Path(subject.target.source).resolve()
        self._signal = 0
        self._hangups = 0
        """SIGHUPs that no reload has begun for."""
        self._reloading: asyncio.Task[None] | None = None

    async def run(
        self,
        sockets: list[socket.socket],
        run_folder: RunFolder,
        gate_sockets: Sequence[socket.socket] = (),
        grpc_sockets: Sequence[socket.socket] = (),
    ) -> int:
        """Until a signal ends it; the exit code.

        Args:
            sockets: for HTTP; gRPC is understood there too.
            gate_sockets: of a worker container, for frames.
            grpc_sockets: on a port of its own for gRPC, if there is one.

        Raises:
            TiffinError: the first start failed; every process is ended.
        """
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._terminal = Terminal()
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._signalled, number)
        reaper = Reaper(loop, cgroup.oom_kills)
        self._house = House(
            sockets=[*sockets, *grpc_sockets],
            run_folder=run_folder,
            reaper=reaper,
            options=self._server_options(self._url(sockets), self._grpc_places(sockets, grpc_sockets)),
            cpus=cgroup.cpu_count(),
            apart=self._options.apart,
            gate_sockets=list(gate_sockets),
            processes=self._options.processes,
            workers=self._options.workers,
            source_changes=self._options.reload,
        )
        self._emit("listening", url=self._house.options.url, grpc=self._grpc, pid=os.getpid())
        watching = await self._watch() if self._options.reload else None
        self._succession = Succession(
            self._house, self._subject, drain_s=self._options.drain_s, stop=self._stop
        )
        self._scaling = Scaling(self._house, self._succession, self._stop)
        loop.add_signal_handler(signal.SIGUSR1, self._succession.explain)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # `nohup` means it
            loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        admin = self._admin()
        try:
            await admin.listen(run_folder.path)
            await self._serve(watching)
        finally:
            self._succession.kill()
            await self._succession.ended()
            self._stop.set()
            await admin.close()
            if self._reloading is not None:
                await asyncio.wait({self._reloading})
            if watching is not None:
                await asyncio.wait({watching})
            reaper.close()
            self._house.close_metrics()
        self._emit("stopped")
        return 128 + self._signal if self._stop_now.is_set() else 0

    def _url(self, sockets: list[socket.socket]) -> str:
        options = self._options
        return url(sockets, tls=bool(options.tls_cert), prefix=options.path_prefix)

    def _grpc_places(
        self, sockets: Sequence[socket.socket], grpc_sockets: Sequence[socket.socket]
    ) -> list[str]:
        """Where callers are told to find gRPC; empty when it is not served."""
        return [] if self._options.grpc_port is None else places(list(grpc_sockets or sockets))

    def _server_options(self, address: str, grpc_addresses: list[str]) -> ServerOptions:
        options = self._options
        return ServerOptions(
            log_format=options.log_format,
            log_level=options.log_level,
            access_log=options.access_log,
            drain_s=options.drain_s,
            timeout_s=options.timeout_s,
            url=address,
            grpc_addresses=grpc_addresses,
            platform=options.platform,
            max_body_bytes=options.max_body_bytes,
            tls_cert=options.tls_cert,
            tls_key=options.tls_key,
            tls_client_ca=options.tls_client_ca,
            auth_file=options.auth_file,
            auth_tokens=digests_only(options.auth_tokens, VARIABLE),
            cors_origins=list(options.cors_origins),
            path_prefix=options.path_prefix,
            expose_runners=options.expose_runners,
            client_shm=options.client_shm,
        )

    def _signalled(self, number: int) -> None:
        self._signal = number
        if self._stop.is_set():
            self._stop_now.set()
        self._stop.set()

    def _emit(self, kind: EventKind, **fields: Any) -> None:
        self._options.on_event(Event(kind, fields))

    async def _serve(self, watching: asyncio.Task[None] | None) -> None:
        await self._succession.first()
        if self._stop.is_set():
            return
        own_bytes = await asyncio.to_thread(own_bytes_of, self._succession.current)
        self._emit("ready", **self._facts(self._started), own_bytes=own_bytes)
        following = asyncio.create_task(self._scaling.follow_load())
        if watching is not None:
            await self._follow_source(watching)
        await self._stop.wait()
        await following
        self._emit("draining", limit_s=self._options.drain_s)
        # Nobody will accept from here any more: a connection must be refused then, not wait and be cut off.
        for opened in (*self._house.sockets, *self._house.gate_sockets):
            opened.close()
        drain = asyncio.ensure_future(self._succession.drain())
        now: asyncio.Future[Any] = asyncio.ensure_future(self._stop_now.wait())
        await asyncio.wait({drain, now}, return_when=asyncio.FIRST_COMPLETED)
        now.cancel()
        if not drain.done():
            self._succession.kill()
        await drain

    @property
    def _grpc(self) -> str:
        """`localhost:3001`: where a person on this machine finds gRPC; empty when it is not served."""
        return next((near(one) for one in self._house.options.grpc_addresses), "")

    def _facts(self, started: float) -> dict[str, Any]:
        """What a person wants to know once it runs."""
        current = self._succession.current
        spec = current.spec
        if spec is None:
            return {}
        return {
            "service": spec.name,
            "title": current.title,
            "url": self._house.options.url,
            "grpc": self._grpc,
            "seconds": round(time.monotonic() - started, 3),
            **facts(current),
            "role": self._options.apart.role,
            "frames": place(self._house.gate_sockets),
            "routes": [api.route for api in spec.apis] if self._options.apart.role != "worker" else [],
        }

    # what commands ask

    def _admin(self) -> Admin:
        admin = Admin()
        admin.answer(WhoAreYou, self._who_am_i)
        admin.answer(Reload, self._asked_to_reload)
        admin.answer(Scale, self._asked_to_scale)
        return admin

    async def _who_am_i(self, question: WhoAreYou, tell: Tell) -> dict[str, Any]:  # noqa: ARG002
        identity = Identity(
            pid=os.getpid(),
            url=self._house.options.url,
            port=self._house.port,
            title=self._succession.subject.title,
            home=str(home()),
            ready=self._succession.current.up,
            closed=bool(self._options.tls_client_ca),
        )
        return msgspec.structs.asdict(identity)

    async def _asked_to_reload(self, question: Reload, tell: Tell) -> dict[str, Any]:
        now = self._succession.subject
        if question.text and self._options.reload:
            raise ConfigError(
                f"this server follows the source of {now.title} (--reload): it serves nothing else"
            )
        folder = Path(question.folder)
        wanted = (question.text, folder) if question.text else (now.text, now.folder)
        return await self._reload(*wanted, tell=tell, limit_s=question.limit_s)

    async def _asked_to_scale(self, question: Scale, tell: Tell) -> dict[str, Any]:
        return {"title": self._succession.subject.title, **await self._scaling.order(question, tell)}

    # reload

    def _hung_up(self) -> None:
        if self._terminal.closed:
            self._signalled(signal.SIGHUP)
            return
        self._hangups += 1
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_again())

    async def _reload_again(self) -> None:
        """For SIGHUPs: those that come during a reload are one more."""
        while self._hangups and not self._stop.is_set():
            self._hangups = 0
            now = self._succession.subject
            try:
                await self._reload(now.text, now.folder)
            except TiffinError:
                continue  # it is logged

    async def _reload(
        self, text: str, folder: Path, tell: Tell = _tell_nobody, limit_s: float = START_LIMIT_S
    ) -> dict[str, Any]:
        """Looks up what to serve and swaps to it; gives the facts of the new one.

        Raises:
            ConfigError: there is nothing like that; nothing was started.
            ServerError: it does not start, and what was served before keeps serving.
        """
        started = time.monotonic()
        before = self._succession.subject.title
        self._emit("reloading", files=[])
        what = text
        try:
            subject = await asyncio.to_thread(look_up, text, folder, signed_by=self._options.require_signed)
            what = subject.title
            logger.info("reloading: %s after %s", what, before)
            tell(Step(text=f"starting {what}"))
            await self._succession.replace(
                subject,
                on_step=lambda text, up, total: tell(Step(text=text, done=up, total=total)),
                limit_s=limit_s,
            )
        except TiffinError as error:
            why = f"{what} does not start, {before} keeps serving: {error}"
            logger.error("%s", why)  # noqa: TRY400 - it says all
            self._emit("reload failed", error=why)
            raise (ConfigError if isinstance(error, ConfigError) else ServerError)(why) from error
        self._scaling.changed()
        now = self._facts(started)
        logger.info("reloaded in %.2f s: %s serves now", now["seconds"], subject.title)
        self._emit("reloaded", **now)
        return {**now, "before": before}

    # the source changes

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
            attempt = asyncio.create_task(self._edited(change.result()))
        if watching.done() and not watching.cancelled() and watching.exception() is not None:
            logger.error("the source is not watched any more: %s", watching.exception())
        await stop
        if attempt is not None:
            await asyncio.wait({attempt})

    async def _edited(self, files: list[str]) -> None:
        started = time.monotonic()
        more = f" and {len(files) - MAX_NAMED_FILES} more" if len(files) > MAX_NAMED_FILES else ""
        self._emit("reloading", files=files)
        logger.info("%s%s changed, reloading", ", ".join(files[:MAX_NAMED_FILES]), more)
        try:
            await self._succession.replace(self._succession.subject, linger_s=EDIT_LINGER_S)
        except TiffinError as error:
            if not self._stop.is_set():
                logger.error("the change does not work, the version before it keeps serving\n%s", error)  # noqa: TRY400 - it says all
                self._emit("reload failed", error=str(error))
            return
        self._scaling.changed()
        now = self._facts(started)
        logger.info("reloaded in %.2f s", now["seconds"])
        self._emit("reloaded", **now)
