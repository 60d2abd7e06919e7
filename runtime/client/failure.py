"""What a server says went wrong → the error of our tree that it was there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ... import errors
from ...errors import InferenceError, OverloadedError, ServingError

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_REMOTE = re.compile(r"([A-Za-z_][\w.]*): ")
_SHOWN = 300
_BY_STATUS: dict[int, type[ServingError]] = {
    400: errors.RequestError,
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundRouteError,
    405: errors.MethodNotAllowedError,
    406: errors.NotAcceptableError,
    413: errors.PayloadTooLargeError,
    415: errors.UnsupportedMediaTypeError,
    422: errors.InvalidInputError,
    504: errors.DeadlineExceededError,
}


def _kinds() -> dict[str, type[ServingError]]:
    """`invalid-input` → InvalidInputError, as the server writes it in `type`."""
    return {
        _WORDS.sub("-", name.removesuffix("Error")).lower(): kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, ServingError)
    }


_KINDS = _kinds()


def failure(status: int, headers: Mapping[str, str], body: bytes | bytearray) -> ServingError:
    """The error of an HTTP answer.

    Args:
        status: 300 or more.
        headers: of the answer, names in lower case.
        body: problem+json of a tiffin server, or whatever a proxy wrote.
    """
    retry_after = headers.get("retry-after", "")
    wait_s = float(retry_after) if retry_after.isdecimal() else None
    try:
        document = msgspec.json.decode(body)
        if isinstance(document, dict) and isinstance(document.get("detail"), str):
            return from_problem(document, status=status, retry_after_s=wait_s)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # a proxy's page
    made = made_of(status, wait_s, headers.get("location", ""), body)
    made.request_id = headers.get("x-request-id", "")
    return made


def from_problem(
    document: Mapping[str, Any], *, status: int = 0, retry_after_s: float | None = None
) -> ServingError:
    """The error of a problem+json document (RFC 9457).

    Args:
        status: HTTP status, when the document has none.
        retry_after_s: seconds that the server asks to wait.
    """
    status = document.get("status", status)
    name = str(document.get("type", "")).rpartition("#problem-")[2]
    kind = _KINDS.get(name) or _of_status(status, retry_after_s)
    made = _made(kind, document["detail"], status, path=str(document.get("path", "")))
    if isinstance(made, OverloadedError):
        made.retry_after_s = 1.0 if retry_after_s is None else retry_after_s
    made.request_id = str(document.get("request_id", ""))
    return made


def made_of(status: int, retry_after_s: float | None, location: str, body: bytes | bytearray) -> ServingError:
    """The error of an answer that is no problem+json: something between us and the server wrote it."""
    if 300 <= status < 400:
        text = f"the server sends us on ({status}) to {location[:_SHOWN]!r}: use that URL"
    else:
        said = " ".join(bytes(body[:_SHOWN]).decode("utf-8", "replace").split())
        text = f"status {status} from what is no tiffin server, or a proxy before it: {said}"
    made = _made(_of_status(status, retry_after_s), text, status)
    if isinstance(made, OverloadedError) and retry_after_s is not None:
        made.retry_after_s = retry_after_s
    return made


def _of_status(status: int, retry_after_s: float | None) -> type[ServingError]:
    if status == 503 and retry_after_s is not None:
        return errors.UnavailableError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return errors.RequestError if 400 <= status < 500 else ServingError


def _made(kind: type[ServingError], detail: str, status: int, *, path: str = "") -> ServingError:
    made = kind(detail)
    made.path = path
    if isinstance(made, InferenceError):
        remote = _REMOTE.match(detail)
        made.remote_type = remote.group(1) if remote else made.remote_type
    if status and status != kind.status:
        made.__dict__["status"] = status  # of this one; the class says what is usual
    return made
