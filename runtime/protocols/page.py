"""Answers of a protocol that are no predictions: documents in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import MethodNotAllowedError
from ..auth.tokens import PREDICT
from ..http import problem
from ..http.entrance import authorization
from ..schema.media import JSON

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http.app import Scope, Send
    from ..http.problem import Problem
    from ..http.serving import Serving
    from ..service.context import RequestContext

_READ = ("GET", "HEAD")


def _check_method(path: str, method: str) -> None:
    if method not in _READ:
        raise MethodNotAllowedError(f"{path[:200]} takes GET, not {method[:20]}")


async def answer(
    serving: Serving,
    scope: Scope,
    send: Send,
    page: Callable[[], tuple[int, Any]],
    word: Callable[..., Problem],
    *,
    is_open: bool = False,
) -> None:
    """Sends what `page` gives, status and document, to whoever may read it; takes GET and HEAD.

    Args:
        word: how the protocol words an error.
        is_open: nobody is asked for a token.
    """
    context: RequestContext = scope["state"]["tiffin_context"]
    path: str = scope["path"]
    headers: tuple[tuple[bytes, bytes], ...] = ()
    try:
        if serving.guard is not None and not is_open:
            serving.guard.check(authorization(scope["headers"]), PREDICT)
        status, document = page()
        _check_method(path, scope["method"])
        body = msgspec.json.encode(document)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
        if problem.is_bug(error):
            problem.log_failure(error, route=path, request_id=context.id, trace_id=context.trace_id)
        status, headers, body = word(error, instance=path, request_id=context.id)
        if isinstance(error, MethodNotAllowedError):
            headers = ((b"allow", b"GET, HEAD, OPTIONS"),)
            if scope["method"] == "OPTIONS":  # which asked for that
                status, body = 204, b""
    if status != 204:
        kind = (b"content-type", JSON.encode("ascii"))
        headers = (kind, (b"content-length", b"%d" % len(body)), *headers)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    sent = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": sent, "more_body": False})
