"""How TorchServe words an error: `{"code", "type", "message"}`."""

from __future__ import annotations

import msgspec

from ...http.problem import Problem
from ..endpoints import UnknownModelError
from ..errors import told

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
    """`{"code": status, "type": of their exceptions, "message": text}`"""
    status, headers, text = told(error, instance=instance, request_id=request_id)
    kind = _TYPES.get(status, "InternalServerException")
    if isinstance(error, UnknownModelError):
        kind = "ModelNotFoundException"
    body = msgspec.json.encode({"code": status, "type": kind, "message": text})
    return Problem(status, headers, body)
