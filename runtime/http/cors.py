"""Pages of other hosts may call: the fields by which browsers let them (https://fetch.spec.whatwg.org)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .exchange import Headers
from .head import joined
from .origins import ANY
from .socket_prediction import SocketPrediction

if TYPE_CHECKING:
    from .app import AsgiApp, Receive, Scope, Send

EXPOSED = b"x-request-id, retry-after, inference-header-content-length, traceparent, www-authenticate"
"""What a script may read of an answer, besides what every page may."""
METHODS = b"GET, HEAD, POST, OPTIONS"
MAX_AGE_S = b"600"
_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:\s*,\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
_VARY: Headers = ((b"vary", b"origin"),)


class Cors:
    """What to add to an answer.

    Args:
        origins: in lower case; `*`: any page, which then gets no answer to a request with cookies.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        exposed = (b"access-control-expose-headers", EXPOSED)
        self._any: Headers | None = None
        if ANY in origins:
            self._any = ((b"access-control-allow-origin", b"*"), exposed)
        self._allowed: dict[bytes, Headers] = {
            origin.encode("latin-1"): (
                (b"access-control-allow-origin", origin.encode("latin-1")),
                (b"access-control-allow-credentials", b"true"),
                exposed,
                *_VARY,
            )
            for origin in origins
            if origin != ANY
        }

    def fields(self, method: bytes | str, request: Mapping[bytes, bytes]) -> Headers:
        """
        Args:
            request: the fields of its header, names in lower case.
        """
        origin = request.get(b"origin")
        if origin is None:
            return () if self._any is not None else _VARY
        found = self._any if self._any is not None else self._allowed.get(origin.lower(), _VARY)
        if found is _VARY or method not in (b"OPTIONS", "OPTIONS"):
            return found
        return (*found, *_preflight(request))


def _preflight(request: Mapping[bytes, bytes]) -> Headers:
    """Any header may be sent: which ones mean something, the route says."""
    if b"access-control-request-method" not in request:
        return ()
    names = request.get(b"access-control-request-headers", b"").strip()
    wanted = ((b"access-control-allow-headers", names),) if _NAMES.fullmatch(names) else ()
    return (
        (b"access-control-allow-methods", METHODS),
        (b"access-control-max-age", MAX_AGE_S),
        *wanted,
    )


class CorsPrediction(SocketPrediction):
    """A prediction on a connection whose answer pages of other hosts may read."""

    def answer(self, status: int, media_type: str, body: bytes | memoryview, headers: Headers) -> None:
        super().answer(status, media_type, body, (*headers, *self._fields()))

    async def open_stream(self, media_type: str, headers: Headers) -> None:
        await super().open_stream(media_type, (*headers, *self._fields()))

    def _fields(self) -> Headers:
        cors = self.serving.cors
        return () if cors is None else cors.fields(self.head.method, self.head.fields)


class CorsApp:
    """The same for what goes through ASGI; answers preflights itself, on every path."""

    def __init__(self, app: AsgiApp, cors: Cors) -> None:
        self._app = app
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = joined(scope["headers"])
        fields = self._cors.fields(scope["method"], request)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in request:
            await send({"type": "http.response.start", "status": 204, "headers": list(fields)})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return

        async def send_on(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *fields]
            await send(message)

        await self._app(scope, receive, send_on)
