"""Who may open a WebSocket, and to what."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any

from ...errors import ForbiddenError, ServingError, UnavailableError
from ..auth.tokens import PREDICT
from ..service.context import RequestContext
from . import problem
from .client_name import client_name
from .entrance import authorization
from .head import Head
from .origins import ANY
from .routes import Route
from .websocket import Socket
from .websocket_messages import Form
from .websocket_prediction import WEBSOCKET

if TYPE_CHECKING:
    from .app import Receive, Scope, Send
    from .head import RawHeaders
    from .serving import Serving

METHOD = "WEBSOCKET"
"""Of a call, in the log and the metrics."""
SUBPROTOCOL = "tiffin"
BEARER, BEARER64 = "bearer.", "bearer64."
"""Begin a subprotocol that is a token, as it is or in base64url: a page in a browser can set no header."""
TENANT = "tiffin.tenant"
"""In the extensions of a scope: a function of the connection that takes the `Socket`."""

_OF_THE_CONNECTION = frozenset(
    (
        b"accept", b"connection", b"content-encoding", b"content-length", b"content-type",
        b"transfer-encoding", b"upgrade", b"x-request-id",
    )
)  # fmt: skip


class WebSockets:
    """Accepts connections to apis, each on the path of its route."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._apis = {info.route: info for info in serving.state.info.apis.values()}
        self._routes: dict[str, Route] = {}

    def _route(self, path: str) -> Route:
        """Made when somebody connects: few services are asked this way.

        Raises:
            NotFoundRouteError: no api has the path.
        """
        route = self._routes.get(path)
        if route is None:
            state = self._serving.state
            info = self._apis.get(path)
            if info is None:
                raise self._serving.table.not_found(path)
            route = Route.of_api(info, getattr(state.instance, info.name), state.options, state.metrics)
            route.metrics = state.metrics.request(route.path, METHOD)
            route.dialect = WEBSOCKET
            self._routes[path] = route
        return route

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its request to its end. Those below a mount go to its application."""
        path: str = scope["path"]
        mounted = self._serving.mounts.find(path)
        if mounted is not None:
            await mounted(scope, receive, send)
            return
        await receive()  # websocket.connect
        headers: RawHeaders = list(scope["headers"])
        offered: list[str] = list(scope.get("subprotocols", ()))
        shown = _authorization(headers, offered)
        try:
            self._admit(headers, shown)
            route = self._route(path)
        except ServingError as error:
            await self._refuse(scope, send, error)
            return
        await send(
            {"type": "websocket.accept", "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None}
        )
        socket = Socket(
            self._serving,
            self._heads(route, headers, scope.get("query_string", b"").decode("latin-1")),
            client=client_name(scope.get("client")),
            authorization=shown,
            send=send,
        )
        take_in = scope.get("extensions", {}).get(TENANT)
        if take_in is not None:
            take_in(socket)
        await socket.serve(receive)

    def _admit(self, headers: RawHeaders, shown: bytes | None) -> None:
        state, guard = self._serving.state, self._serving.guard
        _check_origin(headers, state.options.cors_origins)
        if guard is not None:
            guard.check(shown, PREDICT)
        if state.draining:
            raise UnavailableError("the server is stopping: connect again")

    @staticmethod
    def _heads(route: Route, headers: RawHeaders, query: str) -> dict[Form, Head]:
        kept = [
            (name, value)
            for name, value in headers
            if name not in _OF_THE_CONNECTION and not name.startswith(b"sec-websocket-")
        ]
        heads = {}
        for form in Form:
            head = Head(route, b"POST", [*kept, (b"content-type", form.value.encode("ascii"))], query)
            head.method_text = METHOD
            heads[form] = head
        return heads

    async def _refuse(self, scope: Scope, send: Send, error: ServingError) -> None:
        """The problem as the answer to the handshake; browsers only tell their page that it failed."""
        context = RequestContext(scope["headers"], route=scope["path"])
        report = problem.problem(error, instance=scope["path"], request_id=context.id)
        client = client_name(scope.get("client"))
        size = len(report.body)
        self._serving.unmatched.begin()
        self._serving.ledger.note(
            self._serving.unmatched,
            (client, METHOD, scope["path"], report.status, size, 0.0, context.id, ""),
        )
        headers = [
            (b"content-type", problem.MEDIA_TYPE.encode("ascii")),
            (b"x-request-id", context.id.encode("ascii")),
            *report.headers,
        ]
        await send({"type": "websocket.http.response.start", "status": report.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": report.body, "more_body": False})


def _authorization(headers: RawHeaders, offered: list[str]) -> bytes | None:
    """The header, or a subprotocol that stands for it."""
    found = authorization(headers)
    if found is None:
        tokens = [text.removeprefix(BEARER).encode() for text in offered if text.startswith(BEARER)]
        for text in offered:
            if text.startswith(BEARER64):
                with contextlib.suppress(ValueError):  # then it is no token, and the guard says so
                    tokens.append(base64.urlsafe_b64decode(text.removeprefix(BEARER64) + "=="))
        found = b"Bearer " + tokens[0] if len(tokens) == 1 else None
    return found


def _check_origin(headers: RawHeaders, allowed: list[str]) -> None:
    """Browsers let every page open a WebSocket to every host, and leave it to the host to refuse.

    Raises:
        ForbiddenError: the page is from another host, which nobody has allowed.
    """
    fields: dict[bytes, Any] = dict(headers)
    if b"origin" not in fields or ANY in allowed:
        return
    origin = fields[b"origin"].decode("latin-1").lower()
    host = fields.get(b"host", b"").decode("latin-1").lower()
    if origin not in allowed and (not host or origin.partition("://")[2] != host):
        raise ForbiddenError(
            f"pages of {origin[:200]!r} may not call this server: serve with --cors-origin {origin[:200]}"
        )
