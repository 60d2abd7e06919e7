"""RFC 9457 problem+json: the one place where an error becomes a status, headers and a body."""

from __future__ import annotations

import logging
import math
import re
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from ...errors import (
    DeadlineExceededError,
    ForbiddenError,
    InferenceError,
    MethodNotAllowedError,
    OverloadedError,
    RequestError,
    ServingError,
    TiffinError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from ..service.raised import RAISED
from .head_faults import WEBSOCKET_VERSION, UpgradeRequiredError
from .inflate import CODINGS

MEDIA_TYPE = "application/problem+json"
ALLOW_POST = ((b"allow", b"POST, OPTIONS"),)
"""Methods of a prediction route."""
_DETAIL_CHARS = 2000
_PACKAGE = ServingError.__module__.rpartition(".")[0] + "."
# An absolute path with at least two parts; the last part is kept, since it often is what helps.
_SERVER_PATH = re.compile(r"(?<![\w/.:])/(?:[\w.@+~-]+/)+(?=[\w.@+~-]+)")
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")

_PATH_CHARS = "/:@!$&'()*+,;=~"
"""Of a path in a URI reference, besides letters, digits, `-._`."""

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("tiffin.http")


class Problem(NamedTuple):
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    """JSON of `type`, `title`, `status`, `detail`, `instance`, `request_id`, and `path` when there is one."""


def problem(error: BaseException, *, instance: str, request_id: str) -> Problem:
    """The answer for an error.

    Errors of the `ServingError` tree carry their own status. Anything else came out of the user's code: 500
    with its class and message, so that its author sees what went wrong; never its traceback nor folders of
    the server.

    Args:
        instance: path of the request, as it is after percent-decoding.
        request_id: finds the traceback in the log.
    """
    status, title, detail = _describe(error)
    document: dict[str, Any] = {
        "type": f"/docs#problem-{_kind(error)}",
        "title": title,
        "status": status,
        "detail": detail[:_DETAIL_CHARS],
        "instance": quote(instance, safe=_PATH_CHARS),
        "request_id": request_id,
    }
    if path := getattr(error, "path", ""):
        document["path"] = path
    return Problem(status, _headers(error), _encode(document))


def catalogue() -> list[dict[str, Any]]:
    """Every problem there is, for the reference page: `id`, `title`, `status`."""
    from . import limits  # noqa: F401 - has problems of its own, which must not depend on who imported it

    kinds: list[type[ServingError]] = []
    waiting: list[type[ServingError]] = [ServingError]
    while waiting:
        kind = waiting.pop()
        kinds.append(kind)
        waiting.extend(kind.__subclasses__())
    return [
        {"id": _kebab(kind.__name__), "title": kind.title, "status": kind.status}
        for kind in sorted(kinds, key=lambda kind: (kind.status, kind.__name__))
        if kind.__module__.startswith(_PACKAGE)
    ]


def is_bug(error: BaseException) -> bool:
    """Whether the log should have the traceback: the server or the user's code failed, not the caller."""
    return not isinstance(error, (RequestError, OverloadedError, DeadlineExceededError))


def log_failure(error: BaseException, *, route: str, request_id: str, trace_id: str) -> None:
    """Writes what the caller is not shown."""
    extra = {"request_id": request_id, "trace_id": trace_id, "route": route}
    remote = getattr(error, "traceback", "")
    if remote:
        _log.error("%s failed in a worker [%s]\n%s", route, request_id, remote, extra=extra)
    else:
        _log.error("%s failed [%s]", route, request_id, exc_info=error, extra=extra)


def _describe(error: BaseException) -> tuple[int, str, str]:
    if isinstance(error, InferenceError):
        return error.status, error.title, _clean(f"{error.remote_type}: {_text(error)}")
    if isinstance(error, ServingError):
        return error.status, error.title, _text(error)
    if isinstance(error, TiffinError):
        return 500, "Internal error", _clean(_text(error))
    text = error.strerror or "" if isinstance(error, OSError) else _text(error)
    name = type(error).__name__
    return 500, InferenceError.title, _clean(f"{name}: {text}" if text else name)


def _text(error: BaseException) -> str:
    """Its message as far as it can be sent: a class of the user's may fail to tell it, and names of files
    that are no UTF-8 have half characters."""
    try:
        text = str(error)
    except RAISED:
        return ""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _headers(error: BaseException) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(error, OverloadedError):
        return ((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))),)
    if isinstance(error, MethodNotAllowedError):
        return ALLOW_POST
    if isinstance(error, UpgradeRequiredError):
        return ((b"upgrade", b"websocket"), (b"sec-websocket-version", WEBSOCKET_VERSION))
    if isinstance(error, (UnauthorizedError, ForbiddenError)) and error.challenge:
        return ((b"www-authenticate", error.challenge.encode("latin-1")),)
    if isinstance(error, UnsupportedMediaTypeError):
        return ((b"accept-encoding", ", ".join(CODINGS).encode("ascii")),)
    return ()


def _clean(text: str) -> str:
    return _SERVER_PATH.sub("…/", text)


def _kind(error: BaseException) -> str:
    """The nearest class of ours: a service may derive its own from them."""
    for kind in type(error).__mro__:
        if issubclass(kind, ServingError) and kind.__module__.startswith(_PACKAGE):
            return _kebab(kind.__name__)
    return _kebab(InferenceError.__name__)


def _kebab(name: str) -> str:
    return _WORDS.sub("-", name.removesuffix("Error")).lower()
