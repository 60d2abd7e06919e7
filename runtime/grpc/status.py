"""The one place where an error becomes a status of gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from grpc import StatusCode

from ..http.prediction import CLIENT_GONE

if TYPE_CHECKING:
    from ..http.problem import Problem

PROBLEM = "tiffin-problem-bin"
"""Trailing metadata of every failed call: the problem+json that HTTP answers."""
_DETAILS_CHARS = 1500
"""Clients refuse metadata above 8 KiB in all, and details are escaped on the wire."""
_PROBLEM_BYTES = 3000
_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    405: StatusCode.UNIMPLEMENTED,
    406: StatusCode.INVALID_ARGUMENT,
    408: StatusCode.DEADLINE_EXCEEDED,
    413: StatusCode.RESOURCE_EXHAUSTED,
    415: StatusCode.INVALID_ARGUMENT,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    CLIENT_GONE: StatusCode.CANCELLED,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}

Metadata = tuple[tuple[str, "str | bytes"], ...]


def code_of(status: int) -> StatusCode:
    """For a status of HTTP."""
    known = _CODES.get(status)
    if known is None:
        return StatusCode.INVALID_ARGUMENT if 400 <= status < 500 else StatusCode.INTERNAL
    return known


def trailing(report: Problem) -> Metadata:
    """What goes with the status of a failed call: its problem, whole or not at all, and its headers."""
    problem = ((PROBLEM, report.body),) if len(report.body) <= _PROBLEM_BYTES else ()
    return (*problem, *metadata(report.headers))


def details(text: str) -> str:
    """The message of a status."""
    return text if len(text) <= _DETAILS_CHARS else f"{text[:_DETAILS_CHARS]}…"


def metadata(headers: tuple[tuple[bytes, bytes], ...]) -> Metadata:
    """Fields of HTTP as metadata, which holds printable ASCII: anything else is percent-encoded."""
    return tuple((name.decode("ascii"), quote_from_bytes(value, _PRINTABLE)) for name, value in headers)


_PRINTABLE = bytes(range(0x20, 0x7F)).decode("ascii")
