"""The one place where an error becomes a status of gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union
from urllib.parse import quote_from_bytes

import msgspec

from ..http.exchange import CLIENT_GONE
from .code import Code

if TYPE_CHECKING:
    from ..http.problem import Problem

PROBLEM = "tiffin-problem-bin"
"""Trailing metadata of every failed call: the problem+json that HTTP answers."""
_PROBLEM_BYTES = 3000
"""Clients refuse metadata above 8 KiB in all, and these are written in base64."""
_DETAILS_CHARS = 1000
_CODES = {
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    408: Code.DEADLINE_EXCEEDED,
    413: Code.RESOURCE_EXHAUSTED,
    429: Code.RESOURCE_EXHAUSTED,
    CLIENT_GONE: Code.CANCELLED,
    501: Code.UNIMPLEMENTED,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
_PRINTABLE = bytes(range(0x20, 0x7F)).decode("ascii")

Metadata = tuple[tuple[str, Union[str, bytes]], ...]  # noqa: UP007 - 3.10


class CallEndedError(Exception):
    """A call ends with a status other than OK. Raised by services, for whatever carries the call.

    Args:
        details: for a person.
        metadata: that go with the status.
    """

    def __init__(self, code: Code, details: str, metadata: Metadata = ()) -> None:
        super().__init__(details)
        self.code = code
        self.details = details
        self.metadata = metadata


def code_of(status: int) -> Code:
    """For a status of HTTP."""
    known = _CODES.get(status)
    if known is None:
        return Code.INVALID_ARGUMENT if 400 <= status < 500 else Code.INTERNAL
    return known


def details_of(report: Problem) -> str:
    """What a problem says, and where in the request it is."""
    document = msgspec.json.decode(report.body)
    detail, path = str(document["detail"]), document.get("path")
    if len(detail) > _DETAILS_CHARS:
        detail = f"{detail[:_DETAILS_CHARS]}…"
    return f"{detail} at {path[:_DETAILS_CHARS]}" if path else detail


def trailing(report: Problem, request_id: str) -> Metadata:
    """What goes with the status of a failed call: its problem, whole or not at all, and its headers."""
    problem = ((PROBLEM, report.body),) if len(report.body) <= _PROBLEM_BYTES else ()
    return (*problem, *metadata(report.headers), ("x-request-id", request_id))


def metadata(headers: tuple[tuple[bytes, bytes], ...]) -> Metadata:
    """Fields of HTTP as metadata, which hold printable ASCII: anything else is percent-encoded."""
    return tuple((name.decode("ascii"), quote_from_bytes(value, _PRINTABLE)) for name, value in headers)


def ended(report: Problem, request_id: str) -> CallEndedError:
    """The end of a call that failed."""
    return CallEndedError(code_of(report.status), details_of(report), trailing(report, request_id))
