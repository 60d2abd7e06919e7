"""The ASGI application for all that is no prediction: health, metrics, schema and pages."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from ..service.context import RequestContext
from ..service.reserved import PAGES, PATHS
from .client_name import client_name
from .front import WHOLE_SERVER, in_front
from .routes import UNMATCHED
from .serving import Serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .state import ServerState

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


ASSETS = f"{PAGES}/{{file}}"
"""Route label of what the pages load."""
_COUNTED = ("GET", "HEAD", "POST")


def create_app(state: ServerState) -> AsgiApp:
    """Everything the server answers besides predictions, as one ASGI application.

    Raises:
        ConfigError: what the platform or the environment asks for cannot be.
    """
    serving = Serving.of(state)
    from .handlers import litestar_app  # Litestar takes 0.2 s to import

    app = _with_protocols(litestar_app(state, serving), serving)
    if not state.options.platform:
        return in_front(_with_streams(Counted(app, serving, frozenset(PATHS)), serving), serving)
    from .platform_app import PlatformRoutes

    platform = PlatformRoutes(state, serving)
    counted = Counted(platform.pages(app), serving, platform.paths.union(PATHS))
    return in_front(_with_streams(platform.predictions(counted), serving), serving, platform.paths)


def _with_streams(app: AsgiApp, serving: Serving) -> AsgiApp:
    """Answers what is a call though it comes this way: WebSockets, and bodies that are read while the api
    runs."""
    from .line_prediction import LinePrediction
    from .lines import sends_lines
    from .websocket_handshake import WebSockets

    sockets = WebSockets(serving)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await sockets.serve(scope, receive, send)
            return
        if scope["type"] == "http":
            route = serving.table.by_path.get(scope["path"].encode("utf-8"))
            stream = None if route is None else route.input_stream
            if route is not None and stream is not None and sends_lines(scope["headers"]):
                await LinePrediction(serving, route, stream, scope, send).serve(receive)
                return
        await app(scope, receive, send)

    return answer


def _with_protocols(app: AsgiApp, serving: Serving) -> AsgiApp:
    """Sends what lies below a mount or a protocol's trees there, and everything else to `app`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif scope["path"] == WHOLE_SERVER and scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif (mounted := serving.mounts.find(scope["path"])) is not None:
            await mounted(scope, receive, send)
        else:
            protocol = serving.protocol_of(scope["path"])
            await (app if protocol is None else protocol.serve)(scope, receive, send)

    return answer


class Counted:
    """Counts and logs what the application inside answers."""

    def __init__(self, app: AsgiApp, serving: Serving, paths: frozenset[str]) -> None:
        self._app = app
        self._paths = paths
        self._serving = serving
        self._metrics: dict[tuple[str, str], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = RequestContext(scope["headers"], route=scope["path"])
        scope.setdefault("state", {})["tiffin_context"] = context
        began = monotonic()
        status = 500
        size = 0

        async def send_on(message: dict[str, Any]) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", context.id.encode("ascii"))]
            else:
                size += len(message.get("body", b""))
            await send(message)

        metrics = self._metrics_of(scope)
        metrics.begin()
        try:
            await self._app(scope, receive, send_on)
        finally:
            client = client_name(scope.get("client"))
            trace = context.trace_id if "traceparent" in context.headers else ""
            seconds = monotonic() - began
            self._serving.ledger.note(
                metrics,
                (client, scope["method"], scope["path"], status, size, seconds, context.id, trace),
            )

    def _metrics_of(self, scope: Scope) -> Any:
        path, method = scope["path"], scope["method"]
        if path not in self._paths:
            protocol = self._serving.protocol_of(path)
            if (label := self._serving.mounts.label(path)) is not None:
                path = label
            elif protocol is not None:
                path = protocol.label(path)
            else:
                path = ASSETS if path.startswith(f"{PAGES}/") else UNMATCHED
        key = (path, method if method in _COUNTED else "other")
        metrics = self._metrics.get(key)
        if metrics is None:
            metrics = self._metrics[key] = self._serving.state.metrics.request(*key)
        return metrics
