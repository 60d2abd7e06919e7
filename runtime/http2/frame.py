"""Frames as bytes (RFC 9113, 4 and 6)."""

from __future__ import annotations

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

HEAD_BYTES = 9
head = struct.Struct(">HBBBL")
"""Length (16 high bits, 8 low bits), kind, flags, stream."""
number = struct.Struct(">L")
setting = struct.Struct(">HL")

STREAM_MASK = 0x7FFFFFFF
"""The highest bit of a stream's number is reserved."""
MAX_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_BYTES = 16_384


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return head.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload
