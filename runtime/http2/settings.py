"""SETTINGS (RFC 9113, 6.5): ours, and how the peer's are checked."""

from __future__ import annotations

from collections.abc import Iterator

from .error import FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, ConnectionFaultError
from .frame import (
    DEFAULT_FRAME_BYTES,
    DEFAULT_WINDOW,
    MAX_WINDOW,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    number,
    setting,
)
from .header_block import LIMIT_BYTES
from .stream import RECEIVE_WINDOW

_ENABLE_PUSH, _MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME, _MAX_HEADER_LIST = 2, 3, 4, 5, 6

MAX_STREAMS = 1000
"""Requests in hand on one connection; more are refused and may be tried again."""
FRAME_BYTES = 1024 * 1024
"""The largest frame that we take: large arrays need few of them."""
CONNECTION_WINDOW = 16 * 1024 * 1024
"""Bytes that a peer may send on all streams together before we say that we took them."""

GREETING = frame(
    SETTINGS,
    0,
    0,
    b"".join(
        setting.pack(*each)
        for each in (
            (_MAX_STREAMS, MAX_STREAMS),
            (INITIAL_WINDOW, RECEIVE_WINDOW),
            (MAX_FRAME, FRAME_BYTES),
            (_MAX_HEADER_LIST, LIMIT_BYTES),
        )
    ),
) + frame(WINDOW_UPDATE, 0, 0, number.pack(CONNECTION_WINDOW - DEFAULT_WINDOW))
"""What we send first."""


def read(payload: bytes) -> Iterator[tuple[int, int]]:
    """The settings that a peer sent, each with its value.

    Raises:
        ConnectionFaultError: a value that none can have.
    """
    if len(payload) % setting.size:
        raise ConnectionFaultError(FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
    for which, value in setting.iter_unpack(payload):
        if which == _ENABLE_PUSH and value > 1:
            raise ConnectionFaultError(PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")
        if which == INITIAL_WINDOW and value > MAX_WINDOW:
            raise ConnectionFaultError(FLOW_CONTROL_ERROR, f"INITIAL_WINDOW_SIZE is {value}")
        if which == MAX_FRAME and not DEFAULT_FRAME_BYTES <= value < 2**24:
            raise ConnectionFaultError(PROTOCOL_ERROR, f"MAX_FRAME_SIZE is {value}")
        yield which, value
