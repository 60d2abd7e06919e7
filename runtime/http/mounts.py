"""The user's own ASGI applications: who gets which request, and what becomes of their errors."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ...errors import PayloadTooLargeError, RequestError, ServerError, UnavailableError
from ..auth.tokens import PREDICT
from ..service.context import RequestContext
from . import problem
from .entrance import authorization

if TYPE_CHECKING:
    from ..auth.guard import Guard
    from ..service.mount import AsgiApp, Mount
    from .app import Receive, Scope, Send
    from .state import ServerState

logger = logging.getLogger("tiffin.http")

STOP_LIMIT_S = 10.0
"""Longest that one application may take to end."""


class Mounts:
    """All applications of one API process: made when the server starts, after the service's hooks."""

    def __init__(self, state: ServerState, guard: Guard | None) -> None:
        self._state = state
        info = state.info
        limit = state.options.max_body_bytes
        limit_bytes: int = info.options.max_body_bytes if info.mounts and limit is None else limit or 0
        prefix = state.options.path_prefix
        self.all = [MountedApp(mount, prefix, limit_bytes, guard) for mount in info.mounts.values()]
        self._opened = False

    def find(self, path: str) -> MountedApp | None:
        """Whose a path is, without the prefix below which the server stands."""
        for mounted in self.all:
            if path == mounted.path or path.startswith(mounted.below):
                return mounted
        return None

    def label(self, path: str) -> str | None:
        """One word in metrics for all that an application answers; None: the path is nobody's."""
        mounted = self.find(path)
        return None if mounted is None else mounted.label

    async def open(self) -> None:
        """Once; raises ServerError: an application cannot be made, or says that it cannot start."""
        if self._opened:
            return
        self._opened = True
        try:
            for mounted in self.all:
                await mounted.open(self._state.instance)
        except ServerError:
            await self.close()
            raise

    async def close(self) -> None:
        for mounted in reversed(self.all):
            await mounted.close()


class MountedApp:
    """One application.

    Args:
        prefix: below which the server stands, `/ml/iris`; requests come without it.
        limit_bytes: of a request's body.
        guard: who asks callers for tokens; not those of a public application.
    """

    def __init__(self, mount: Mount, prefix: str, limit_bytes: int, guard: Guard | None) -> None:
        self.path = mount.path
        self.below = f"{mount.path}/"
        self.label = f"{mount.path}/*"
        self._guard = None if mount.public else guard
        self._mount = mount
        self._prefix = prefix
        self._limit_bytes = limit_bytes
        self._app: AsgiApp | None = None
        self._lifespan: Lifespan | None = None

    async def open(self, service: object) -> None:
        self._app = self._mount.build(service)
        self._lifespan = Lifespan(self._app, f"{self._mount.where}: the application mounted on {self.path}")
        await self._lifespan.start()

    async def close(self) -> None:
        if self._lifespan is not None:
            await self._lifespan.stop()
            self._lifespan = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app, lifespan = self._app, self._lifespan
        if app is None or lifespan is None:
            await _send_problem(scope, send, UnavailableError("the application has not begun, or has ended"))
            return
        if self._guard is not None and not await self._let_in(self._guard, scope, send):
            return
        path: str = scope["path"]
        if scope["type"] == "http" and path == self.path and scope["method"] in ("GET", "HEAD"):
            await _redirect(scope, send, self._prefix + self.below)
            return
        inner = {
            **scope,
            "root_path": self._prefix + self.path,
            "path": self._prefix + path,
            "state": {**scope.get("state", {}), **lifespan.state},
        }
        if scope["type"] == "http":
            await self._answer(app, inner, receive, send)
        else:
            await app(
                inner, receive, send
            )  # what it raises, uvicorn logs; it closes the connection with 1011

    async def _answer(self, app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        body = _Limited(receive, self._limit_bytes, self.path)

        async def send_on(message: dict[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, body, send_on)
        except Exception as error:
            if started:
                raise  # uvicorn logs it and cuts the answer off, so that nobody takes it for a whole one
            await _send_problem(scope, send, error)

    async def _let_in(self, guard: Guard, scope: Scope, send: Send) -> bool:
        try:
            guard.check(authorization(scope["headers"]), PREDICT)
        except RequestError as error:
            await _send_problem(scope, send, error)
            return False
        return True


async def _send_problem(scope: Scope, send: Send, error: Exception) -> None:
    """In place of the application's answer."""
    context: RequestContext = scope.get("state", {}).get("tiffin_context") or RequestContext(scope["headers"])
    path: str = scope["path"]
    if problem.is_bug(error):
        problem.log_failure(error, route=path, request_id=context.id, trace_id=context.trace_id)
    report = problem.problem(error, instance=path, request_id=context.id)
    headers = [
        (b"content-type", problem.MEDIA_TYPE.encode("ascii")),
        (b"content-length", b"%d" % len(report.body)),
        *report.headers,
    ]
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    await send({"type": f"{kind}.start", "status": report.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": report.body, "more_body": False})


class _Limited:
    """`receive` that refuses a body when it is too large."""

    def __init__(self, receive: Receive, limit_bytes: int, path: str) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._path = path
        self._size = 0

    async def __call__(self) -> dict[str, Any]:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self._limit_bytes:
            raise PayloadTooLargeError(
                f"the body has {self._size} bytes or more, the limit of {self._path} is {self._limit_bytes}"
            )
        return message


async def _redirect(scope: Scope, send: Send, target: str) -> None:
    """Links of a page are relative to its folder, so its address ends with a slash."""
    query = scope.get("query_string", b"")
    location = target.encode("ascii") + (b"?" + query if query else b"")
    headers = [(b"location", location), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Lifespan:
    """Start and end of one application. One that knows no lifespan is left alone.

    Args:
        what: the application, for errors.
    """

    def __init__(self, app: AsgiApp, what: str) -> None:
        self.state: dict[str, Any] = {}
        """What the application keeps for its requests."""
        self._app = app
        self._what = what
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises ServerError: the application says that it cannot start."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.create_task(self._app(scope, self._in.get, self._out.put))  # type: ignore[arg-type]
        message = await self._ask(self._task, "lifespan.startup")
        if message is None:
            logger.debug("%s knows no lifespan: %s", self._what, self._end())
        elif message["type"] == "lifespan.startup.failed":
            raise ServerError(f"{self._what} could not start: {message.get('message', '')}".rstrip(": "))

    async def stop(self) -> None:
        if self._task is None or self._task.done():
            return
        try:
            message = await asyncio.wait_for(self._ask(self._task, "lifespan.shutdown"), STOP_LIMIT_S)
            if message is not None and message["type"] == "lifespan.shutdown.failed":
                logger.error("%s could not stop: %s", self._what, message.get("message", ""))
            elif message is None and (failure := self._end()) is not None:
                logger.error("%s could not stop", self._what, exc_info=failure)
        except asyncio.TimeoutError:
            logger.error("%s did not stop within %g s", self._what, STOP_LIMIT_S)  # noqa: TRY400 - nothing to trace
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _ask(self, task: asyncio.Task[None], kind: str) -> dict[str, Any] | None:
        """What the application answers; None: it has ended instead."""
        await self._in.put({"type": kind})
        answer = asyncio.create_task(self._out.get())
        try:
            await asyncio.wait({answer, task}, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        finally:
            answer.cancel()

    def _end(self) -> BaseException | None:
        """What ended the application."""
        task = self._task
        return task.exception() if task is not None and task.done() and not task.cancelled() else None
