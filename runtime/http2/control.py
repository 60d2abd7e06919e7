"""Frames that are about the connection and not about one request: settings, windows, pings, the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import settings
from .error import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    ConnectionFaultError,
    StreamFaultError,
)
from .frame import ACK, MAX_WINDOW, PING, SETTINGS, STREAM_MASK, frame, number

if TYPE_CHECKING:
    from .connection import Connection

_NUISANCES = 5000
"""Frames in a second that ask for work and bring none: pings, settings, resets, empty data."""


class Control:
    """Of one connection. Each method is called with a frame's flags, stream and payload, and raises
    ConnectionFaultError or StreamFaultError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.greeted = False
        """The peer's settings have come."""
        self.nuisances = 0
        """Since the last second began."""

    def nuisance(self) -> None:
        """Counts a frame that asks for work and brings none."""
        self.nuisances += 1
        if self.nuisances > _NUISANCES:
            raise ConnectionFaultError(ENHANCE_YOUR_CALM, "too many frames that bring nothing")

    def priority_frame(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002
        if not stream:
            raise ConnectionFaultError(PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5:
            raise StreamFaultError(stream, FRAME_SIZE_ERROR, f"PRIORITY of {len(payload)} bytes")
        self.nuisance()

    def push_frame(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002
        raise ConnectionFaultError(PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def settings_frame(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ConnectionFaultError(PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & ACK:
            if payload:
                raise ConnectionFaultError(FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS with content")
            return
        self.greeted = True
        self.nuisance()
        for which, value in settings.read(payload):
            if which == settings.INITIAL_WINDOW:
                self._resize_windows(value)
            elif which == settings.MAX_FRAME:
                self._connection.peer_frame_bytes = value
        self._connection.write(frame(SETTINGS, ACK, 0))

    def _resize_windows(self, value: int) -> None:
        more = value - self._connection.peer_window
        self._connection.peer_window = value
        for stream in self._connection.streams.values():
            stream.send_window += more
            if stream.send_window > MAX_WINDOW:
                raise ConnectionFaultError(FLOW_CONTROL_ERROR, "a window above its limit")
            if stream.pending_bytes and stream.send_window > 0:
                self._connection.waiting[stream] = None
        if more > 0:
            self._connection.push_all()

    def ping_frame(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ConnectionFaultError(PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFaultError(FRAME_SIZE_ERROR, f"PING of {len(payload)} bytes")
        if not flags & ACK:
            self.nuisance()
            self._connection.write(frame(PING, ACK, 0, payload))

    def goaway_frame(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002
        if stream:
            raise ConnectionFaultError(PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionFaultError(FRAME_SIZE_ERROR, f"GOAWAY of {len(payload)} bytes")
        self.nuisance()
        self._connection.leaving = True
        if not self._connection.streams:
            self._connection.close()

    def window_frame(self, flags: int, number_: int, payload: bytes) -> None:  # noqa: ARG002
        if len(payload) != number.size:
            raise ConnectionFaultError(FRAME_SIZE_ERROR, f"WINDOW_UPDATE of {len(payload)} bytes")
        more = number.unpack(payload)[0] & STREAM_MASK
        if not number_:
            if not more:
                raise ConnectionFaultError(PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
            self._connection.send_window += more
            if self._connection.send_window > MAX_WINDOW:
                raise ConnectionFaultError(FLOW_CONTROL_ERROR, "a window above its limit")
            self._connection.push_all()
            return
        stream = self._connection.streams.get(number_)
        if stream is None:
            if number_ > self._connection.intake.last_stream and not self._connection.leaving:
                raise ConnectionFaultError(
                    PROTOCOL_ERROR, f"WINDOW_UPDATE on stream {number_}, which is not open"
                )
            return
        if not more:
            raise StreamFaultError(number_, PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
        stream.send_window += more
        if stream.send_window > MAX_WINDOW:
            raise StreamFaultError(number_, FLOW_CONTROL_ERROR, "a window above its limit")
        if stream.pending_bytes:
            self._connection.push(stream)
