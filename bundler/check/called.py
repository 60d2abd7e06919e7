"""One request to a route and its answer, as it travels between processes."""

from __future__ import annotations

import msgspec

FAILED, BROKEN = 400, 500
"""The statuses from which on a request, and the server, failed."""


class Called(msgspec.Struct, kw_only=True):
    """One request to a route, and its answer."""

    route: str
    request: str = ""
    """JSON; empty: none could be made."""
    status: int = 0
    """Of HTTP; 0: it was not called."""
    media_type: str = ""
    body: bytes = b""
    """For a stream the events of all of it."""
    steady: bool = True
    """Whether a second call gave the same."""
    reason: str = ""
    """Why it was not called."""
