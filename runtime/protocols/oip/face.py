"""The HTTP face of `pages`: reads the body, asks for the token, writes JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ....errors import MethodNotAllowedError, NotFoundRouteError, PayloadTooLargeError, UnavailableError
from ...auth.tokens import PREDICT
from ...http import problem
from ...http.entrance import authorization
from ...http.inflate import check_coding, inflate
from ...schema.media import JSON
from ..errors import error_body
from .pages import OPEN, Pages

if TYPE_CHECKING:
    from ...http.app import Receive, Scope, Send
    from ...http.serving import Serving
    from ...service.context import RequestContext
    from .management import Management

TREE = "/v2"
MAX_BODY_BYTES = 4 * 1024 * 1024
"""Of a request that is no prediction."""
_BODILESS = ("GET", "HEAD")


class Face:
    """Everything of the protocol that is no prediction, for one API process."""

    def __init__(self, serving: Serving, management: Management) -> None:
        self._serving = serving
        self._pages = Pages(management)

    def label(self, path: str) -> str:
        """The template of a path, whatever names callers put in it."""
        found = self._pages.find(path)
        return TREE if found is None else found[0].template

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, from its header to its answer."""
        context: RequestContext = scope["state"]["tiffin_context"]
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            status, told = await self._answer(scope, receive)
            body = b"" if told is None else msgspec.json.encode(told)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            path = scope["path"]
            if problem.is_bug(error):
                problem.log_failure(error, route=path, request_id=context.id, trace_id=context.trace_id)
            status, headers, body = error_body(error, instance=path, request_id=context.id)
            if isinstance(error, MethodNotAllowedError):
                headers = ((b"allow", ", ".join((*self._verbs(path), "OPTIONS")).encode("ascii")),)
                if scope["method"] == "OPTIONS":  # which asked for that
                    status, body = 204, b""
        await _send(send, status, headers, body, with_body=scope["method"] != "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, Any]:
        path, verb = scope["path"], scope["method"]
        found = self._pages.find(path)
        needed = PREDICT if found is None else found[0].scope  # strangers learn of no path whether it exists
        guard = self._serving.guard
        if guard is not None and needed != OPEN:
            guard.check(authorization(scope["headers"]), needed)
        if found is None:
            raise NotFoundRouteError(f"no route {path[:200]!r} in the Open Inference Protocol")
        page, names = found
        if verb not in page.verbs:
            raise MethodNotAllowedError(
                f"Method Not Allowed: {path[:200]} takes {' and '.join(page.verbs)}, not {verb[:20]}"
            )
        body = await _read(scope, receive) if page.reads and verb not in _BODILESS else b""
        return await self._pages.answer(page, names, body)

    def _verbs(self, path: str) -> tuple[str, ...]:
        found = self._pages.find(path)
        return () if found is None else found[0].verbs


async def _read(scope: Scope, receive: Receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise UnavailableError("the caller has gone")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise PayloadTooLargeError(f"the body has more than {MAX_BODY_BYTES} bytes, the limit here")
        parts.append(part)
        more = message.get("more_body", False)
    body = b"".join(parts)
    coding = dict(scope["headers"]).get(b"content-encoding", b"").strip().lower().decode("latin-1")
    if coding:
        check_coding(coding)
        body = inflate(coding, body, MAX_BODY_BYTES)
    return body


async def _send(
    send: Send, status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes, *, with_body: bool
) -> None:
    fields = [(b"cache-control", b"no-store"), *headers]
    if status != 204:
        fields.insert(0, (b"content-length", b"%d" % len(body)))
    if body:
        fields.insert(0, (b"content-type", JSON.encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body if with_body else b"", "more_body": False})
