"""How TorchServe words an error: `{"code", "type", "message"}`."""

from __future__ import annotations

import msgspec

from ...http import problem
from ...http.problem import Problem
from ..endpoints import UnknownModelError

_BAD_REQUEST = frozenset({400, 406, 415, 422})
_TYPES = {
    400: "BadRequestException",
    401: "InvalidTokenException",
    403: "InvalidTokenException",
    404: "ResourceNotFoundException",
    405: "MethodNotAllowedException",
    413: "RequestEntityTooLargeException",
    501: "NotImplementedException",
    503: "ServiceUnavailableException",
    504: "RequestTimeoutException",
}


def error_body(error: BaseException, *, instance: str, request_id: str) -> Problem:
    """Status and body for an error; the text says where in the request it is."""
    report = problem.problem(error, instance=instance, request_id=request_id)
    document = msgspec.json.decode(report.body)
    text = document["detail"]
    if path := document.get("path"):
        text = f"{text} at {path}"
    status = 400 if report.status in _BAD_REQUEST else report.status
    kind = _TYPES.get(status, "InternalServerException")
    if isinstance(error, UnknownModelError):
        kind = "ModelNotFoundException"
    body = msgspec.json.encode({"code": status, "type": kind, "message": text})
    return Problem(status, report.headers, body)
