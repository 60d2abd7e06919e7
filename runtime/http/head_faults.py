"""Heads of HTTP/1 that are refused whatever they ask for, and end the connection (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httptools

from ...errors import MalformedInputError, RequestError
from .authority import is_authority

WEBSOCKET_VERSION = b"13"
_SHOWN_BYTES = 80
_REQUEST_LINE = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+ )[!-~]+ HTTP/1\.[01]\r?\n")


class UpgradeRequiredError(RequestError):
    """A WebSocket of another version than ours (RFC 6455, 4.4)."""

    status = 426
    title = "Upgrade required"


class UnknownMethodError(RequestError):
    """No method that HTTP/1.1 is known to have, on whatever path (RFC 9110, 9.1)."""

    status = 501
    title = "Unknown method"


def method_fault_of(data: bytes) -> RequestError | None:
    """What is wrong with the first request line of bytes in which the parser found a method that it does not
    know; None when that is a line further on, or no line of HTTP/1.1 at all."""
    line = _REQUEST_LINE.match(data)
    if line is None:
        return None
    try:
        httptools.HttpRequestParser(None).feed_data(line[1])
    except httptools.HttpParserInvalidMethodError:
        return UnknownMethodError(f"the method {_shown(line[1].rstrip())} is not served anywhere here")
    return None


def fault_of(version: str, fields: Mapping[bytes, bytes]) -> RequestError | None:
    """Why the request is refused, whatever it asks for.

    Args:
        version: `1.1`, as the parser found it.
        fields: names in lower case; several fields of one name are joined with commas.
    """
    if version not in {"1.1", "1.0"}:
        return MalformedInputError(f"HTTP/{version} is not served this way: 1.1 and 1.0 are")
    host = fields.get(b"host")
    if host is None:
        if version == "1.1":  # 3.2
            return MalformedInputError("a request of HTTP/1.1 has a Host field")
    elif not is_authority(host) and not is_authority(_bare(host)):
        # A proxy in front may have read another host out of it than we would.
        return MalformedInputError(f"Host is {_shown(host)}: a request names one host, and maybe a port")
    coding = fields.get(b"transfer-encoding")
    if coding is not None and _bare(coding).lower() != b"chunked":
        # Others may see another end of the request than we do.
        return MalformedInputError(f"transfer-encoding {_shown(coding)}: only chunked is supported")
    return None


def websocket_fault_of(fields: Mapping[bytes, bytes]) -> RequestError | None:
    """Why a request for a WebSocket cannot have one, though its head is in order."""
    version = fields.get(b"sec-websocket-version", WEBSOCKET_VERSION)
    if fields.get(b"upgrade", b"").lower() == b"websocket" and version != WEBSOCKET_VERSION:
        return UpgradeRequiredError(f"WebSockets of version {_shown(version)} are not served: 13 is")
    return None


def _bare(value: bytes) -> bytes:
    """Without the blanks behind it, which are no part of it (RFC 9112, 5.1) and which the parser leaves."""
    return value.rstrip(b" \t")


def _shown(value: bytes) -> str:
    return repr(value[:_SHOWN_BYTES].decode("latin-1"))
