"""What stands in front of everything that goes through ASGI: the prefix of all paths, and CORS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import NotFoundRouteError
from . import problem
from .client_name import client_name
from .cors import CorsApp

if TYPE_CHECKING:
    from .app import AsgiApp, Receive, Scope, Send
    from .serving import Serving

PROBES = frozenset({"/livez", "/readyz", "/healthz"})
"""Those who ask them know nothing of a prefix."""
WHOLE_SERVER = "*"
"""In place of a path: `OPTIONS *` (RFC 9110, 9.3.7)."""
_HEALTH = "/v2/health/"


def in_front(app: AsgiApp, serving: Serving, platform_paths: frozenset[str] = frozenset()) -> AsgiApp:
    """
    Args:
        platform_paths: that the platform asks, without a prefix.
    """
    if prefix := serving.state.options.path_prefix:
        app = Prefixed(app, serving, prefix, PROBES | platform_paths | {WHOLE_SERVER})
    if serving.cors is not None:
        app = CorsApp(app, serving.cors)
    return app


class Prefixed:
    """Takes the prefix away, so that nothing inside has to know of it. Beside it only probes are served."""

    def __init__(self, app: AsgiApp, serving: Serving, prefix: str, beside: frozenset[str]) -> None:
        self._app = app
        self._serving = serving
        self._prefix = prefix
        self._beside = beside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "lifespan" or path in self._beside or path.startswith(_HEALTH):
            await self._app(scope, receive, send)
        elif path.startswith(f"{self._prefix}/"):
            await self._app(self._within(scope, path), receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close"})  # before it was accepted: 403
        elif path == self._prefix:
            query = scope.get("query_string", b"")  # links of the pages are relative
            where = f"{path}/".encode("latin-1") + (b"?" + query if query else b"")
            await _send(send, 308, [(b"location", where), (b"content-length", b"0")])
        else:
            client = client_name(scope.get("client"))
            error = NotFoundRouteError(f"no route {path[:200]!r}")
            report, request_id = self._serving.refuse(error, client, 0.0)
            headers = [
                (b"content-type", problem.MEDIA_TYPE.encode("ascii")),
                (b"content-length", b"%d" % len(report.body)),
                (b"x-request-id", request_id.encode("ascii")),
            ]
            await _send(send, report.status, headers, b"" if scope["method"] == "HEAD" else report.body)

    def _within(self, scope: Scope, path: str) -> dict[str, Any]:
        rest = path[len(self._prefix) :]
        raw = scope.get("raw_path") or b""
        whole = raw.startswith(self._prefix.encode("latin-1"))  # else some of it was percent-encoded
        return {
            **scope,
            "path": rest,
            "raw_path": raw[len(self._prefix) :] if whole else rest.encode("utf-8"),
        }


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
