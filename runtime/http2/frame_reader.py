"""What arrives on a connection → frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .error import FRAME_SIZE_ERROR, PROTOCOL_ERROR, ConnectionFaultError
from .frame import HEAD_BYTES, PREFACE, STREAM_MASK, head
from .settings import FRAME_BYTES

if TYPE_CHECKING:
    from .connection import Connection


class FrameReader:
    """Gives the frames of a connection to its intake, each as soon as its last byte is there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._preface = False
        """It has come."""
        self._parts: list[bytes] = []
        """Of a frame whose end has not come."""
        self._have = self._wanted = 0

    def feed(self, data: bytes) -> None:
        """Raises ConnectionFaultError."""
        if self._wanted:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._wanted:
                return
            data = b"".join(self._parts)
            self._parts.clear()
            self._wanted = 0
        at, size = self._read(data), len(data)
        if at < size and not self._connection.deaf:
            rest = data[at:] if at else data
            self._parts.append(rest)
            self._have = len(rest)
            self._wanted = max(self._wanted, HEAD_BYTES)

    def _read(self, data: bytes) -> int:
        """All frames that are whole; where the rest begins."""
        connection = self._connection
        at, size = 0, len(data)
        if not self._preface:
            if not PREFACE.startswith(data[: len(PREFACE)]):
                raise ConnectionFaultError(PROTOCOL_ERROR, "the connection preface is not HTTP/2's")
            if size < len(PREFACE):
                self._wanted = len(PREFACE)
                return 0
            self._preface = True
            at = len(PREFACE)
        unpack, take = head.unpack_from, connection.intake.take
        while size - at >= HEAD_BYTES and not connection.deaf:
            high, low, kind, flags, stream = unpack(data, at)
            length = high << 8 | low
            if length > FRAME_BYTES:
                raise ConnectionFaultError(FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            end = at + HEAD_BYTES + length
            if end > size:
                self._wanted = end - at
                break
            take(kind, flags, stream & STREAM_MASK, data, at + HEAD_BYTES, end)
            at = end
        return at
