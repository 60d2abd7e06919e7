"""How long and how large a request may be while it is coming in."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

from ...errors import RequestError

if TYPE_CHECKING:
    from .head import RawHeaders

HEAD_LIMIT_BYTES = 64 * 1024
HEAD_LIMIT_FIELDS = 128
HEAD_LIMIT_S = 60.0
"""From the first byte of a request to the end of its header; also for a new connection that says nothing."""
BODY_RATE = 1000.0
"""Bytes a second that a body must bring on average once `HEAD_LIMIT_S` is over."""
STALL_LIMIT_S = 60.0
"""A caller that takes no byte of its answer for so long is cut off."""
LINGER_S = 5.0
"""After a refusal, how long what the caller is still sending is read and dropped: closing at once would reset
the connection, and the caller would never see why."""
STOPPING_LINGER_S = 0.2
"""The same when the server waits for nothing else."""


class HeadTooLargeError(RequestError):
    status = 431
    title = "Request header fields too large"


class TooSlowError(RequestError):
    status = 408
    title = "Request timeout"


class Dropped(list[tuple[bytes, bytes]]):
    """Where fields after a chunked body go: they are allowed and never needed."""

    def append(self, field: tuple[bytes, bytes]) -> None:
        pass


def has_body(headers: RawHeaders) -> bool:
    """Whether a request announces a body."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )


def overhead_limit(body_bytes: int) -> int:
    """Bytes on the wire that a body of this size may take: its chunks may be small, its trailers not
    endless."""
    return 1024 * 1024 + 16 * body_bytes


_HUNG_UP = getattr(select, "POLLRDHUP", select.POLLHUP)


def hung_up(transport: asyncio.Transport) -> bool:
    """Whether the caller closed, seen past unread bytes: a transport that is paused does not see it."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), _HUNG_UP)
    return bool(poll.poll(0))
