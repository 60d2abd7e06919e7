"""One connection: frames in, streams, frames out. What the streams mean is the application's business."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from time import monotonic
from typing import cast

from ..http.client_name import client_name
from .error import NO_ERROR, ConnectionFaultError
from .frame import DEFAULT_FRAME_BYTES, DEFAULT_WINDOW, GOAWAY, frame, number
from .frame_reader import FrameReader
from .intake import Application, Intake
from .patience import Patience
from .rests import Rests
from .settings import GREETING
from .stream import Stream

logger = logging.getLogger("tiffin.http2")

_JOIN_BYTES = 64 * 1024
"""More than this is not copied together first."""
_BURST_BYTES = 256 * 1024
"""So much is given to the socket at a time; it says when that is enough."""
_UNREAD_BYTES = 1024 * 1024
"""With more than this waiting in the socket nothing is heard: heads and refusals have no window."""
_REMEMBERED = 1000
"""Streams that we ended before the peer did: what it had sent by then is no fault."""


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
        self.began = monotonic()
        self.waiting: OrderedDict[Stream, None] = OrderedDict()
        """Streams with data for which the connection has no room; who has sent last stands last."""
        self.ours: deque[int] = deque(maxlen=_REMEMBERED)
        self._out: list[bytes | memoryview] = []
        self._out_bytes = 0
        self._flushing = False
        self.leaving = False
        """GOAWAY was sent: no new stream is taken."""
        self.deaf = False
        """The peer broke the protocol: everything that still comes is dropped."""
        self.intake = Intake(self, application)
        self._reader = FrameReader(self)
        self._patience = Patience(self)
        self.rests = Rests(self)

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.peer = client_name(transport.get_extra_info("peername"))
        transport.write(GREETING)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.deaf = True
        streams = list(self.streams.values())
        self.streams.clear()
        self.waiting.clear()
        for stream in streams:
            stream.lose()
        self._on_closed(self)

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        self._flushing = True  # once, below
        try:
            self._reader.feed(data)
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
        self.push_all()

    def sweep(self, now: float) -> None:
        """Ends it, or streams of it, whose time is over. `now`: `time.monotonic()`."""
        self._patience.sweep(now)

    def shutdown(self) -> None:
        """Takes no new stream; closes when those in hand are answered."""
        self.leave()
        if self._done():
            self.close()

    def leave(self) -> None:
        """Tells the peer to open its next streams elsewhere."""
        if not self.leaving:
            self.leaving = True
            self.write(frame(GOAWAY, 0, 0, number.pack(self.intake.last_stream) + number.pack(NO_ERROR)))

    def fail(self, fault: ConnectionFaultError) -> None:
        """Tells the peer what it did wrong, and ends."""
        logger.info("%s: HTTP/2 connection ended, error 0x%x: %s", self.peer, fault.code, fault.reason)
        self.deaf = True
        reason = fault.reason.encode("ascii", "replace")[:200]
        payload = number.pack(self.intake.last_stream) + number.pack(fault.code) + reason
        self.write(frame(GOAWAY, 0, 0, payload))
        self.close()

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
                self.waiting[stream] = None
                return
            stream.push_frame(self.send_window)
            if self._out_bytes > _BURST_BYTES:
                self._flush()

    def push_all(self) -> None:
        """One frame a stream in turn, so that a large answer does not hold up the others."""
        while self.waiting and not self.paused and self.send_window > 0:
            stream, _ = self.waiting.popitem(last=False)
            if stream.pending_bytes and stream.send_window > 0:
                stream.push_frame(self.send_window)
                if stream.pending_bytes and stream.send_window > 0:
                    self.waiting[stream] = None
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
        self.waiting.pop(stream, None)
        self.close_if_done()

    def close_if_done(self) -> None:
        """Ends a connection that is being left, once the peer has nothing more to wait for."""
        if self._done():
            self._loop.call_soon(self.close)

    def _done(self) -> bool:
        return self.leaving and not self.streams and not self.rests

    def close(self) -> None:
        """Sends what is left to say, and ends."""
        self.deaf = True
        self._flush()
        self.transport.close()
