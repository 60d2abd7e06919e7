"""Bodies that are items, one a line: newline-delimited JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..schema import media

if TYPE_CHECKING:
    from .head import RawHeaders


def sends_lines(headers: RawHeaders) -> bool:
    """Whether a request's body is items, one a line."""
    kind = next((value for name, value in headers if name == b"content-type"), b"")
    return media.content_type(kind.decode("latin-1"))[0] == media.NDJSON
