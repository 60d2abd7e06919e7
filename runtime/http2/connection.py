"""One connection: frames in, streams, frames out. What the streams mean is the application's business."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol, cast

from . import settings
from .error import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    ConnectionFaultError,
    StreamFaultError,
)
from .frame import (
    ACK,
    CONTINUATION,
    DEFAULT_FRAME_BYTES,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEAD_BYTES,
    HEADERS,
    MAX_WINDOW,
    PADDED,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    STREAM_MASK,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    frame,
    head,
    number,
)
from .header_block import LIMIT_BYTES, Fields, HeaderBlocks
from .patience import Patience
from .request_fields import wrong_with, wrong_with_trailers
from .settings import CONNECTION_WINDOW, FRAME_BYTES, GREETING, MAX_STREAMS
from .stream import RECEIVE_WINDOW, Receiver, Stream

logger = logging.getLogger("tiffin.http2")

_VIEW_BYTES = 16 * 1024
"""A larger piece of a body is not copied out of what came in with it."""
_JOIN_BYTES = 64 * 1024
"""More than this is not copied together first."""
_BURST_BYTES = 256 * 1024
"""So much is given to the socket at a time; it says when that is enough."""
_UNREAD_BYTES = 1024 * 1024
"""With more than this waiting in the socket nothing is heard: heads and refusals have no window."""
_REMEMBERED = 1000
"""Streams that we ended before the peer did: what it had sent by then is no fault."""
_NUISANCES = 5000
"""Frames in a second that ask for work and bring none: pings, settings, resets, empty data."""


class Application(Protocol):
    """What streams are given to."""

    def head(self, fields: Fields) -> Any:
        """What a request's fields mean; kept for all requests with the same fields on the connection."""

    def open(self, stream: Stream, meaning: Any) -> Receiver:
        """A request has begun; what will be told of the rest of it."""


class Connection(asyncio.Protocol):
    """Of a server.

    Args:
        application: that answers.
        on_closed: called when the connection is gone and every stream was told.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        application: Application,
        loop: asyncio.AbstractEventLoop,
        on_closed: Callable[[Connection], None],
    ) -> None:
        self._application = application
        self._on_closed = on_closed
        self._loop = loop
        self.streams: dict[int, Stream] = {}
        """Those that are not answered yet."""
        self.peer = ""
        self.paused = False
        """So much waits in the socket that nothing is added to it."""
        self.peer_window = self.send_window = DEFAULT_WINDOW
        """What the peer takes on a new stream; and on all streams together."""
        self.peer_frame_bytes = DEFAULT_FRAME_BYTES
        self.greeted = False
        """The preface has come, and the peer's settings."""
        self.block_since = 0.0
        """When a header block began whose end has not come; 0: none."""
        self.nuisances = 0
        self.began = monotonic()
        self._preface = False
        self._parts: list[bytes] = []
        """Of a frame whose end has not come."""
        self._have = self._wanted = 0
        self._blocks = HeaderBlocks()
        self._block: tuple[int, int, list[bytes], int] | None = None
        """Stream, flags, pieces and bytes of a header block whose end has not come."""
        self._last_stream = 0
        self._receive_window = CONNECTION_WINDOW
        self._unread = 0
        self._waiting: OrderedDict[Stream, None] = OrderedDict()
        """Streams with data for which the connection has no room; who has sent last stands last."""
        self._ours: deque[int] = deque(maxlen=_REMEMBERED)
        self._out: list[bytes | memoryview] = []
        self._out_bytes = 0
        self._flushing = False
        self._leaving = False
        """GOAWAY was sent: no new stream is taken."""
        self.deaf = False
        """The peer broke the protocol: everything that still comes is dropped."""
        self._patience = Patience(self)
        self._on_frame = {
            HEADERS: self._headers_frame,
            RST_STREAM: self._reset_frame,
            SETTINGS: self._settings_frame,
            PING: self._ping_frame,
            GOAWAY: self._goaway_frame,
            WINDOW_UPDATE: self._window_frame,
            CONTINUATION: self._continuation_frame,
            2: self._priority_frame,
            5: self._push_frame,
        }

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        client = transport.get_extra_info("peername")
        self.peer = "{}:{}".format(*client[:2]) if isinstance(client, tuple) else "local"
        transport.write(GREETING)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.deaf = True
        streams = list(self.streams.values())
        self.streams.clear()
        self._waiting.clear()
        for stream in streams:
            stream.lose()
        self._on_closed(self)

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        if self._wanted:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._wanted:
                return
            data = b"".join(self._parts)
            self._parts.clear()
            self._wanted = 0
        self._flushing = True  # once, below
        try:
            self._read(data)
        except ConnectionFaultError as fault:
            self.fail(fault)
        self._flush()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if not self.transport.is_closing():
            self.transport.resume_reading()
        self._push_all()

    def sweep(self, now: float) -> None:
        """Ends it, or streams of it, whose time is over. `now`: `time.monotonic()`."""
        self._patience.sweep(now)

    def shutdown(self) -> None:
        """Takes no new stream; closes when those in hand are answered."""
        self.leave()
        if not self.streams:
            self._close()

    def leave(self) -> None:
        """Tells the peer to open its next streams elsewhere."""
        if not self._leaving:
            self._leaving = True
            self.write(frame(GOAWAY, 0, 0, number.pack(self._last_stream) + number.pack(NO_ERROR)))

    def fail(self, fault: ConnectionFaultError) -> None:
        """Tells the peer what it did wrong, and ends."""
        logger.info("%s: HTTP/2 connection ended, error 0x%x: %s", self.peer, fault.code, fault.reason)
        self.deaf = True
        reason = fault.reason.encode("ascii", "replace")[:200]
        payload = number.pack(self._last_stream) + number.pack(fault.code) + reason
        self.write(frame(GOAWAY, 0, 0, payload))
        self._close()

    # Out

    def write(self, *pieces: bytes | memoryview) -> None:
        """Sends frames, together with all others of this turn of the loop."""
        self._out.extend(pieces)
        self._out_bytes += sum(map(len, pieces))
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def push(self, stream: Stream) -> None:
        """Sends what waits on a stream, as far as there is room."""
        while stream.pending_bytes:
            if stream.send_window <= 0:
                return  # until its window opens
            if self.paused or self.send_window <= 0:
                self._waiting[stream] = None
                return
            stream.push_frame(self.send_window)
            if self._out_bytes > _BURST_BYTES:
                self._flush()

    def _push_all(self) -> None:
        """One frame a stream in turn, so that a large answer does not hold up the others."""
        while self._waiting and not self.paused and self.send_window > 0:
            stream, _ = self._waiting.popitem(last=False)
            if stream.pending_bytes and stream.send_window > 0:
                stream.push_frame(self.send_window)
                if stream.pending_bytes and stream.send_window > 0:
                    self._waiting[stream] = None
            if self._out_bytes > _BURST_BYTES:
                self._flush()

    def _flush(self) -> None:
        self._flushing = False
        if self._out:
            out, self._out = self._out, []
            size, self._out_bytes = self._out_bytes, 0
            if self.transport.is_closing():
                return
            if size > _JOIN_BYTES:
                self.transport.writelines(out)
            else:
                self.transport.write(b"".join(out))
            if self.paused and self.transport.get_write_buffer_size() > _UNREAD_BYTES:
                self.transport.pause_reading()

    def forget(self, stream: Stream) -> None:
        """A stream was answered, or given up by us."""
        if self.streams.pop(stream.id, None) is None:
            return
        self._waiting.pop(stream, None)
        self._ours.append(stream.id)
        if self._leaving and not self.streams:
            self._loop.call_soon(self._close)

    def _close(self) -> None:
        self.deaf = True
        self._flush()
        self.transport.close()

    # In

    def _read(self, data: bytes) -> None:
        at, size = 0, len(data)
        if not self._preface:
            at = self._read_preface(data)
            if not self._preface:
                self._parts.append(data)
                self._have = len(data)
                return
        unpack = head.unpack_from
        while size - at >= HEAD_BYTES and not self.deaf:
            high, low, kind, flags, number_ = unpack(data, at)
            length = high << 8 | low
            if length > FRAME_BYTES:
                raise ConnectionFaultError(FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            end = at + HEAD_BYTES + length
            if end > size:
                self._wanted = end - at
                break
            stream = number_ & STREAM_MASK
            if self._block is not None and (kind != CONTINUATION or stream != self._block[0]):
                raise ConnectionFaultError(PROTOCOL_ERROR, "a frame inside of a header block")
            if not self.greeted and kind != SETTINGS:
                raise ConnectionFaultError(PROTOCOL_ERROR, "the first frame is not SETTINGS")
            try:
                if kind == 0:
                    self._data_frame(flags, stream, data, at + HEAD_BYTES, end)
                elif (on_frame := self._on_frame.get(kind)) is not None:
                    on_frame(flags, stream, data[at + HEAD_BYTES : end])
                else:
                    self._nuisance()  # of an extension that we do not know
            except StreamFaultError as fault:
                self._fail_stream(fault)
            at = end
        if at < size and not self.deaf:
            rest = data[at:] if at else data
            self._parts.append(rest)
            self._have = len(rest)
            self._wanted = max(self._wanted, HEAD_BYTES)

    def _read_preface(self, data: bytes) -> int:
        if not PREFACE.startswith(data[: len(PREFACE)]):
            raise ConnectionFaultError(PROTOCOL_ERROR, "the connection preface is not HTTP/2's")
        if len(data) < len(PREFACE):
            self._wanted = len(PREFACE)
            return 0
        self._preface = True
        return len(PREFACE)

    def _fail_stream(self, fault: StreamFaultError) -> None:
        logger.info("%s: HTTP/2 stream ended, error 0x%x: %s", self.peer, fault.code, fault)
        self._nuisance()
        stream = self.streams.get(fault.stream)
        if stream is None:
            self._ours.append(fault.stream)
            self.write(frame(RST_STREAM, 0, fault.stream, number.pack(fault.code)))
        else:
            receiver = stream.receiver
            stream.reset(fault.code)
            receiver.lost()

    def _nuisance(self) -> None:
        self.nuisances += 1
        if self.nuisances > _NUISANCES:
            raise ConnectionFaultError(ENHANCE_YOUR_CALM, "too many frames that bring nothing")

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
            self._nuisance()
        if size > LIMIT_BYTES:
            raise ConnectionFaultError(ENHANCE_YOUR_CALM, "the header block is too large")
        self._block = (stream, first_flags, pieces, size)
        if flags & END_HEADERS:
            self._block = None
            self.block_since = 0.0
            self._headers(stream, first_flags, b"".join(pieces))

    def _headers(self, number_: int, flags: int, block: bytes) -> None:
        if number_ > self._last_stream:
            self._open(number_, flags, block)
            return
        fields = self._blocks.read(block)  # whatever becomes of it: the table must follow
        stream = self.streams.get(number_)
        if stream is None:
            if number_ not in self._ours:
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
        if self._leaving:
            return  # the peer was told that such a stream is not looked at
        self._last_stream = number_
        if wrong:
            raise StreamFaultError(number_, PROTOCOL_ERROR, wrong)
        if len(self.streams) >= MAX_STREAMS:
            raise StreamFaultError(number_, REFUSED_STREAM, f"more than {MAX_STREAMS} streams")
        stream = self.streams[number_] = Stream(self, number_, monotonic())
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
            self.write(frame(WINDOW_UPDATE, 0, 0, number.pack(self._unread)))
            self._unread = 0
        stream = self.streams.get(number_)
        if stream is None:
            self._data_on_none(number_)
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
            self._nuisance()
        if stream.closed:
            return
        if flags & END_STREAM:
            stream.ended = True
            stream.receiver.end()
            return
        stream.unread += size
        if stream.unread > RECEIVE_WINDOW // 2 and not stream.held:
            stream.take()

    def _data_on_none(self, number_: int) -> None:
        if not number_ or number_ > self._last_stream:
            if self._leaving and number_:
                return
            raise ConnectionFaultError(PROTOCOL_ERROR, f"DATA on stream {number_}, which is not open")
        if number_ not in self._ours:
            raise StreamFaultError(number_, STREAM_CLOSED, "data on a closed stream")

    @staticmethod
    def _unpadded(data: bytes, start: int, end: int) -> tuple[int, int]:
        if end == start or data[start] >= end - start:
            raise ConnectionFaultError(PROTOCOL_ERROR, "more padding than frame")
        return start + 1, end - data[start]

    def _priority_frame(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002
        if not stream:
            raise ConnectionFaultError(PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5:
            raise StreamFaultError(stream, FRAME_SIZE_ERROR, f"PRIORITY of {len(payload)} bytes")
        self._nuisance()

    def _reset_frame(self, flags: int, number_: int, payload: bytes) -> None:  # noqa: ARG002
        if len(payload) != number.size:
            raise ConnectionFaultError(FRAME_SIZE_ERROR, f"RST_STREAM of {len(payload)} bytes")
        if not number_ or (number_ > self._last_stream and not self._leaving):
            raise ConnectionFaultError(PROTOCOL_ERROR, f"RST_STREAM on stream {number_}, which is not open")
        stream = self.streams.pop(number_, None)
        if stream is not None:
            self._waiting.pop(stream, None)
            self._ours.append(number_)
            stream.ended = True
            stream.lose()
            if self._leaving and not self.streams:
                self._close()
        self._nuisance()

    def _push_frame(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002
        raise ConnectionFaultError(PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def _settings_frame(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ConnectionFaultError(PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & ACK:
            if payload:
                raise ConnectionFaultError(FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS with content")
            return
        self.greeted = True
        self._nuisance()
        for which, value in settings.read(payload):
            if which == settings.INITIAL_WINDOW:
                self._resize_windows(value)
            elif which == settings.MAX_FRAME:
                self.peer_frame_bytes = value
        self.write(frame(SETTINGS, ACK, 0))

    def _resize_windows(self, value: int) -> None:
        more = value - self.peer_window
        self.peer_window = value
        for stream in self.streams.values():
            stream.send_window += more
            if stream.send_window > MAX_WINDOW:
                raise ConnectionFaultError(FLOW_CONTROL_ERROR, "a window above its limit")
            if stream.pending_bytes and stream.send_window > 0:
                self._waiting[stream] = None
        if more > 0:
            self._push_all()

    def _ping_frame(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ConnectionFaultError(PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFaultError(FRAME_SIZE_ERROR, f"PING of {len(payload)} bytes")
        if not flags & ACK:
            self._nuisance()
            self.write(frame(PING, ACK, 0, payload))

    def _goaway_frame(self, flags: int, stream: int, payload: bytes) -> None:  # noqa: ARG002
        if stream:
            raise ConnectionFaultError(PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionFaultError(FRAME_SIZE_ERROR, f"GOAWAY of {len(payload)} bytes")
        self._nuisance()
        self._leaving = True
        if not self.streams:
            self._close()

    def _window_frame(self, flags: int, number_: int, payload: bytes) -> None:  # noqa: ARG002
        if len(payload) != number.size:
            raise ConnectionFaultError(FRAME_SIZE_ERROR, f"WINDOW_UPDATE of {len(payload)} bytes")
        more = number.unpack(payload)[0] & STREAM_MASK
        if not number_:
            if not more:
                raise ConnectionFaultError(PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
            self.send_window += more
            if self.send_window > MAX_WINDOW:
                raise ConnectionFaultError(FLOW_CONTROL_ERROR, "a window above its limit")
            self._push_all()
            return
        stream = self.streams.get(number_)
        if stream is None:
            if number_ > self._last_stream and not self._leaving:
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
            self.push(stream)
