"""Heads of messages as bytes."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus


def status_line(status: int, media_type: str) -> bytes:
    """Status line and `content-type`."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    kind = f"content-type: {media_type}\r\n" if media_type else ""
    return f"HTTP/1.1 {status} {phrase}\r\n{kind}".encode("latin-1")


def field_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header fields that were checked where they were set."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def without_upgrade(method: bytes, url: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a request again, without its wish to speak another protocol."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode("ascii"))]
    for name, value in headers:
        if name == b"connection":
            tokens = [token for token in value.split(b",") if token.strip().lower() != b"upgrade"]
            lines.append(b"connection: " + b",".join(tokens))
        elif name != b"upgrade":
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join(lines) + b"\r\n\r\n"
