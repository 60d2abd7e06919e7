"""The same predictions as a plain ASGI application, for other servers and for tests without a socket."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...errors import InferenceError
from .client_name import client_name
from .cors import CorsApp
from .entrance import let_in
from .exchange import Headers
from .lines import sends_lines
from .prediction import Prediction
from .serving import Serving

if TYPE_CHECKING:
    from .app import AsgiApp, Receive, Scope, Send
    from .routes import Route
    from .state import ServerState


class PredictionApp:
    """Answers prediction routes and gives everything else to `otherwise`.

    Args:
        otherwise: `create_app(state)`.
    """

    def __init__(self, state: ServerState, otherwise: AsgiApp) -> None:
        self._serving = Serving.of(state)
        self._otherwise = otherwise
        cors = self._serving.cors
        self._answer: AsgiApp = self._predict if cors is None else CorsApp(self._predict, cors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = self._route(scope) if scope["type"] == "http" else None
        await (self._otherwise if wanted is None else self._answer)(scope, receive, send)

    def _route(self, scope: Scope) -> Route | None:
        path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8")
        route = self._serving.find(path.partition(b"?")[0])
        if route is not None and route.input_stream is not None and sends_lines(scope["headers"]):
            return None  # its body is read while the api runs: see `create_app`
        return route

    async def _predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route(scope)
        if route is not None:
            await AsgiPrediction(self._serving, route, scope, send).serve(receive)


class AsgiPrediction(Prediction):
    """A prediction whose bytes come and go as ASGI messages."""

    def __init__(self, serving: Serving, route: Route, scope: Scope, send: Send) -> None:
        client = scope.get("client")
        head = route.dialect.head(
            route,
            scope["method"].encode("latin-1"),
            list(scope["headers"]),
            scope.get("query_string", b"").decode("latin-1"),
        )
        if serving.guard is not None:
            let_in(head, serving.guard)
        super().__init__(serving, head, client_name(client))
        self._send = send
        self._message: tuple[dict[str, Any], dict[str, Any]] | None = None
        self._over = asyncio.Event()
        self._broken = False

    async def serve(self, receive: Receive) -> None:
        """From the header to the last byte of the answer."""
        self.admit()
        if not await self._read(receive):
            self.release()
            return
        self.launch(monotonic(), asyncio.get_running_loop())
        watch = asyncio.create_task(self._watch(receive))
        try:
            await self._over.wait()
        except asyncio.CancelledError:  # the server gives up: so does the api
            self.cancel()
            raise
        finally:
            watch.cancel()
        if self._message is not None:
            for message in self._message:
                await self._send(message)
        if self._broken:
            raise InferenceError("the stream ended with an error; its reason is in the log")

    async def _read(self, receive: Receive) -> bool:
        """The whole body, or as much as is needed to refuse it. False: the caller is gone."""
        while self.error is None or self.error.status != 413:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            self.feed(message.get("body", b""))
            if not message.get("more_body", False):
                break
        return True

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.cancel()

    def cancel(self) -> None:
        super().cancel()
        self._over.set()

    def answer(self, status: int, media_type: str, body: bytes | memoryview, headers: Headers) -> None:
        length = () if status == 204 else ((b"content-length", b"%d" % len(body)),)
        start = self._start(status, media_type, (*length, *headers))
        data = b"" if self.head.method == b"HEAD" else bytes(body)
        self._message = (start, {"type": "http.response.body", "body": data, "more_body": False})
        self._over.set()

    async def open_stream(self, media_type: str, headers: Headers) -> None:
        self.head_sent = True
        await self._send(self._start(200, media_type, ((b"cache-control", b"no-store"), *headers)))

    async def send_chunk(self, data: bytes | memoryview) -> None:
        await self._send({"type": "http.response.body", "body": bytes(data), "more_body": True})
        await asyncio.sleep(0)

    async def close_stream(self, *, broken: bool) -> None:
        if broken:
            return self.lose()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        return self._over.set()

    def lose(self) -> None:
        self._broken = True
        self._over.set()

    def _start(self, status: int, media_type: str, headers: Headers) -> dict[str, Any]:
        kind = ((b"content-type", media_type.encode("latin-1")),) if media_type else ()
        named = (*kind, (b"x-request-id", self.context.id.encode("ascii")), *headers)
        return {"type": "http.response.start", "status": status, "headers": list(named)}
