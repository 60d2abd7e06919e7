"""What each frame of the peer does: to streams, to windows, to the connection."""

from __future__ import annotations

import logging
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from .control import Control
from .error import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    ConnectionFaultError,
    StreamFaultError,
)
from .frame import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_MASK,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    frame,
    number,
)
from .header_block import LIMIT_BYTES, Fields, HeaderBlocks
from .request_fields import wrong_with, wrong_with_trailers
from .settings import CONNECTION_WINDOW, MAX_STREAMS
from .stream import RECEIVE_WINDOW, Receiver, Stream

if TYPE_CHECKING:
    from .connection import Connection

logger = logging.getLogger("tiffin.http2")

_VIEW_BYTES = 16 * 1024
"""A larger piece of a body is not copied out of what came in with it."""
_SKIPS = 32
"""Gaps between the numbers of streams that are remembered; whoever leaves more hears of a closed stream."""


class Application(Protocol):
    """What streams are given to."""

    def head(self, fields: Fields) -> Any:
        """What a request's fields mean; kept for all requests with the same fields on the connection."""

    def open(self, stream: Stream, meaning: Any) -> Receiver:
        """A request has begun; what will be told of the rest of it."""


class Intake:
    """Of one connection.

    Args:
        application: that answers.
    """

    def __init__(self, connection: Connection, application: Application) -> None:
        self._connection = connection
        self._application = application
        self.block_since = 0.0
        """When a header block began whose end has not come; 0: none."""
        self.control = Control(connection)
        self.last_stream = 0
        """The newest that the peer has opened."""
        self._skipped: deque[range] = deque(maxlen=_SKIPS)
        """Numbers that the peer passed over, and may not use any more."""
        self._blocks = HeaderBlocks()
        self._block: tuple[int, int, list[bytes], int] | None = None
        """Stream, flags, pieces and bytes of a header block whose end has not come."""
        self._receive_window = CONNECTION_WINDOW
        self._unread = 0
        self._on_frame = {
            HEADERS: self._headers_frame,
            PRIORITY: self.control.priority_frame,
            RST_STREAM: self._reset_frame,
            SETTINGS: self.control.settings_frame,
            PUSH_PROMISE: self.control.push_frame,
            PING: self.control.ping_frame,
            GOAWAY: self.control.goaway_frame,
            WINDOW_UPDATE: self.control.window_frame,
            CONTINUATION: self._continuation_frame,
        }

    def take(  # noqa: PLR0917 - once a frame: a name for each costs more
        self, kind: int, flags: int, stream: int, data: bytes, start: int, end: int
    ) -> None:
        """One frame, whose payload is `data[start:end]`; raises ConnectionFaultError."""
        if self._block is not None and (kind != CONTINUATION or stream != self._block[0]):
            raise ConnectionFaultError(PROTOCOL_ERROR, "a frame inside of a header block")
        if not self.control.greeted and kind != SETTINGS:
            raise ConnectionFaultError(PROTOCOL_ERROR, "the first frame is not SETTINGS")
        try:
            if kind == DATA:
                self._data_frame(flags, stream, data, start, end)
            elif (on_frame := self._on_frame.get(kind)) is not None:
                on_frame(flags, stream, data[start:end])
            else:
                self.control.nuisance()  # of an extension that we do not know
        except StreamFaultError as fault:
            self._fail_stream(fault)

    def _fail_stream(self, fault: StreamFaultError) -> None:
        logger.info("%s: HTTP/2 stream ended, error 0x%x: %s", self._connection.peer, fault.code, fault)
        self.control.nuisance()
        stream = self._connection.streams.get(fault.stream)
        if stream is None:
            self._connection.ours.append(fault.stream)
            self._connection.write(frame(RST_STREAM, 0, fault.stream, number.pack(fault.code)))
        else:
            receiver = stream.receiver
            stream.reset(fault.code)
            receiver.lost()

    def _headers_frame(self, flags: int, stream: int, payload: bytes) -> None:
        if not stream:
            raise ConnectionFaultError(PROTOCOL_ERROR, "HEADERS on stream 0")
        start, end = 0, len(payload)
        if flags & PADDED:
            start, end = self._unpadded(payload, 0, end)
        if flags & WITH_PRIORITY:
            if end - start < 5:
                raise ConnectionFaultError(FRAME_SIZE_ERROR, "HEADERS too short for its priority")
            if number.unpack_from(payload, start)[0] & STREAM_MASK == stream:
                raise ConnectionFaultError(PROTOCOL_ERROR, "a stream that depends on itself")
            start += 5
        block = payload[start:end]
        if len(block) > LIMIT_BYTES:
            raise ConnectionFaultError(ENHANCE_YOUR_CALM, "the header block is too large")
        if flags & END_HEADERS:
            self._headers(stream, flags, block)
        else:
            self._block = (stream, flags, [block], len(block))
            self.block_since = monotonic()

    def _continuation_frame(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None:
            raise ConnectionFaultError(PROTOCOL_ERROR, "CONTINUATION of nothing")
        stream, first_flags, pieces, size = self._block
        pieces.append(payload)
        size += len(payload)
        if not payload:
            self.control.nuisance()
        if size > LIMIT_BYTES:
            raise ConnectionFaultError(ENHANCE_YOUR_CALM, "the header block is too large")
        self._block = (stream, first_flags, pieces, size)
        if flags & END_HEADERS:
            self._block = None
            self.block_since = 0.0
            self._headers(stream, first_flags, b"".join(pieces))

    def _headers(self, number_: int, flags: int, block: bytes) -> None:
        if number_ > self.last_stream:
            self._open(number_, flags, block)
            return
        fields = self._blocks.read(block)  # whatever becomes of it: the table must follow
        stream = self._connection.streams.get(number_)
        if stream is None:
            if number_ in self._connection.rests:
                self._connection.rests.forget(number_)  # trailers end it
            elif not number_ & 1 or any(number_ in skipped for skipped in self._skipped):  # RFC 9113, 5.1.1
                raise ConnectionFaultError(
                    PROTOCOL_ERROR, f"HEADERS on stream {number_} after stream {self.last_stream}"
                )
            elif number_ not in self._connection.ours:
                raise ConnectionFaultError(STREAM_CLOSED, f"HEADERS on the closed stream {number_}")
            return
        if stream.ended:
            raise StreamFaultError(number_, STREAM_CLOSED, "HEADERS after the end of the body")
        if not flags & END_STREAM:
            raise StreamFaultError(number_, PROTOCOL_ERROR, "trailers that do not end the stream")
        if wrong := wrong_with_trailers(fields):
            raise StreamFaultError(number_, PROTOCOL_ERROR, wrong)
        stream.ended = True
        stream.receiver.end()

    def _open(self, number_: int, flags: int, block: bytes) -> None:
        if not number_ & 1:
            raise ConnectionFaultError(PROTOCOL_ERROR, "a client's streams have odd numbers")
        meaning = self._blocks.known.get(block)
        if meaning is None:
            fields = self._blocks.read(block)
            wrong = wrong_with(fields)
            if not wrong:
                meaning = self._application.head(fields)
                self._blocks.keep(block, meaning)
        else:
            wrong = ""
        if self._connection.leaving:
            return  # the peer was told that such a stream is not looked at
        if number_ > self.last_stream + 2:
            self._skipped.append(range(self.last_stream + 1 | 1, number_, 2))
        self.last_stream = number_
        if wrong:
            raise StreamFaultError(number_, PROTOCOL_ERROR, wrong)
        if len(self._connection.streams) + len(self._connection.rests) >= MAX_STREAMS:
            raise StreamFaultError(number_, REFUSED_STREAM, f"more than {MAX_STREAMS} streams")
        stream = self._connection.streams[number_] = Stream(self._connection, number_, monotonic())
        stream.ended = bool(flags & END_STREAM)
        stream.receiver = receiver = self._application.open(stream, meaning)
        if flags & END_STREAM and not stream.closed:
            receiver.end()

    def _data_frame(self, flags: int, number_: int, data: bytes, start: int, end: int) -> None:
        size = end - start
        self._receive_window -= size
        if self._receive_window < 0:
            raise ConnectionFaultError(FLOW_CONTROL_ERROR, "more data than the connection's window")
        self._unread += size
        if self._unread > CONNECTION_WINDOW // 2:
            self._receive_window += self._unread
            self._connection.write(frame(WINDOW_UPDATE, 0, 0, number.pack(self._unread)))
            self._unread = 0
        stream = self._connection.streams.get(number_)
        if stream is None:
            self._data_on_none(flags, number_, size)
            return
        if stream.ended:
            raise StreamFaultError(number_, STREAM_CLOSED, "data after the end of the body")
        stream.receive_window -= size
        if stream.receive_window < 0:
            raise StreamFaultError(number_, FLOW_CONTROL_ERROR, "more data than the stream's window")
        if flags & PADDED:
            start, end = self._unpadded(data, start, end)
        if end > start:
            stream.received += end - start
            large = end - start > _VIEW_BYTES
            stream.receiver.data(memoryview(data)[start:end] if large else data[start:end])
        elif not flags & END_STREAM:
            self.control.nuisance()
        if stream.closed:
            return
        if flags & END_STREAM:
            stream.ended = True
            stream.receiver.end()
            return
        stream.unread += size
        if stream.unread > RECEIVE_WINDOW // 2 and not stream.held:
            stream.take()

    def _data_on_none(self, flags: int, number_: int, size: int) -> None:
        rests = self._connection.rests
        if rests.take(number_, size):
            if flags & END_STREAM:
                rests.forget(number_)
            elif not size:
                self.control.nuisance()
            return
        if not number_ or number_ > self.last_stream:
            if self._connection.leaving and number_:
                return
            raise ConnectionFaultError(PROTOCOL_ERROR, f"DATA on stream {number_}, which is not open")
        if number_ not in self._connection.ours:
            raise StreamFaultError(number_, STREAM_CLOSED, "data on a closed stream")

    @staticmethod
    def _unpadded(data: bytes, start: int, end: int) -> tuple[int, int]:
        if end == start or data[start] >= end - start:
            raise ConnectionFaultError(PROTOCOL_ERROR, "more padding than frame")
        return start + 1, end - data[start]

    def _reset_frame(self, flags: int, number_: int, payload: bytes) -> None:  # noqa: ARG002
        if len(payload) != number.size:
            raise ConnectionFaultError(FRAME_SIZE_ERROR, f"RST_STREAM of {len(payload)} bytes")
        if not number_ or (number_ > self.last_stream and not self._connection.leaving):
            raise ConnectionFaultError(PROTOCOL_ERROR, f"RST_STREAM on stream {number_}, which is not open")
        stream = self._connection.streams.get(number_)
        if stream is not None:
            stream.ended = True
            self._connection.forget(stream)
            stream.lose()
        else:
            self._connection.rests.forget(number_)
        self.control.nuisance()
