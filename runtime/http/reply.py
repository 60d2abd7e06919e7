"""The bytes of an HTTP/1.1 answer's head."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus


@lru_cache(maxsize=256)
def status_line(status: int, media_type: str) -> bytes:
    """Status line and `content-type`; few of them exist, so they are kept."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    kind = f"content-type: {media_type}\r\n" if media_type else ""
    return f"HTTP/1.1 {status} {phrase}\r\n{kind}".encode("latin-1")


def field_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header fields that were checked where they were set."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)
