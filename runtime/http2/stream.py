"""One request and its answer on a connection: what is sent, and what waits until the peer can take it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from .error import CANCEL
from .frame import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
    frame,
    head,
    number,
)

if TYPE_CHECKING:
    from .connection import Connection

RECEIVE_WINDOW = 4 * 1024 * 1024
"""Bytes that a peer may send on a stream before we say that we took them."""
_DRAIN_BYTES = 64 * 1024
"""With more than this waiting, `drain` waits."""


class Receiver(Protocol):
    """What the application made for a stream."""

    def data(self, piece: bytes | memoryview) -> None:
        """A piece of the body; never empty."""

    def end(self) -> None:
        """The body is complete."""

    def lost(self) -> None:
        """The peer gave the stream up, or the connection is gone: nothing that is sent will arrive."""


class _Nobody:
    """The receiver of a stream that is over: without it each call would leave a cycle behind."""

    def data(self, piece: bytes | memoryview) -> None:
        pass

    def end(self) -> None:
        pass

    def lost(self) -> None:
        pass


_NOBODY = _Nobody()


class Stream:
    """Made by the connection, used by the application; all of it in the event loop's thread."""

    __slots__ = (
        "_last", "_pending", "_stalled_bytes", "_stalled_since", "_waiter", "closed", "connection", "ended",
        "held", "id", "opened", "pending_bytes", "receive_window", "received", "receiver", "send_window",
        "streaming", "unread",
    )  # fmt: skip

    receiver: Receiver

    def __init__(self, connection: Connection, stream: int, opened: float) -> None:
        self.connection = connection
        self.id = stream
        self.opened = opened
        """`time.monotonic()`"""
        self.send_window = connection.peer_window
        self.receive_window = RECEIVE_WINDOW
        self.received = 0
        """Bytes of the body so far."""
        self.unread = 0
        """Bytes that the peer was not told we took."""
        self.ended = False
        """The peer has sent everything."""
        self.closed = False
        """Nothing more is sent: the answer is complete, or the stream is lost."""
        self.held = False
        """The application takes nothing more for now: the peer's window is not opened again."""
        self.streaming = False
        """The body may take as long as it likes."""
        self._pending: deque[memoryview] = deque()
        self.pending_bytes = 0
        self._stalled_bytes = 0
        self._stalled_since = 0.0
        self._last: bytes | None = None
        """Header block that ends the answer, when data has yet to go before it; empty: no trailers."""
        self._waiter: asyncio.Future[None] | None = None

    # The answer

    def reply(self, block: bytes, body: bytes, last: bytes) -> None:
        """A whole answer in one piece, where the peer has room for it.

        Args:
            block: header block of the answer.
            last: header block of its trailers.
        """
        connection, size = self.connection, len(body)
        if (
            self.closed
            or size > self.send_window
            or size > connection.send_window
            or size > connection.peer_frame_bytes
            or len(block) + len(last) > connection.peer_frame_bytes
            or connection.paused
        ):
            self.start(block)
            self.send(body)
            self.finish(last)
            return
        self.send_window -= size
        connection.send_window -= size
        stream, first, final, pack = self.id, len(block), len(last), head.pack
        connection.write(
            b"".join(
                (
                    pack(first >> 8, first & 0xFF, HEADERS, END_HEADERS, stream),
                    block,
                    pack(size >> 8, size & 0xFF, DATA, 0, stream),
                    body,
                    pack(final >> 8, final & 0xFF, HEADERS, END_HEADERS | END_STREAM, stream),
                    last,
                )
            )
        )
        self._close()

    def start(self, block: bytes) -> None:
        """Sends the head of the answer."""
        if not self.closed:
            self._write_block(block, 0)

    def send(self, data: bytes | memoryview) -> None:
        """Sends a piece of the answer, or keeps it until the peer has room."""
        if self.closed or not len(data):
            return
        self._pending.append(memoryview(data))
        self.pending_bytes += len(data)
        self.connection.push(self)

    def finish(self, last: bytes | None) -> None:
        """Ends the answer, once all data is sent.

        Args:
            last: header block of its trailers; None: it has none.
        """
        if self.closed:
            return
        if self.pending_bytes:
            self._last = last or b""
        else:
            self._write_end(last)

    def refuse(self, block: bytes) -> None:
        """The whole answer is one header block."""
        if not self.closed:
            self._drop()
            self._write_block(block, END_STREAM)
            self._close()

    async def drain(self) -> None:
        """Waits while much of the answer has yet to be taken by the peer."""
        if self.pending_bytes > _DRAIN_BYTES and not self.closed:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        else:
            await asyncio.sleep(0)  # a generator that never waits must not keep the others from running

    def reset(self, code: int = CANCEL) -> None:
        """Gives the stream up."""
        if not self.closed:
            self._drop()
            self.connection.write(frame(RST_STREAM, 0, self.id, number.pack(code)))
            if not self.ended:
                self.connection.ours.append(self.id)
            self.ended = True
            self._close()

    def take(self) -> None:
        """The application takes more of the body again."""
        self.held = False
        if self.unread and not self.ended and not self.closed:
            self.connection.write(frame(WINDOW_UPDATE, 0, self.id, number.pack(self.unread)))
            self.receive_window += self.unread
            self.unread = 0

    # For the connection

    def stalled(self, now: float) -> float:
        """Seconds since the peer took any of what waits for it; asked once a second."""
        if self.pending_bytes != self._stalled_bytes or not self.pending_bytes:
            self._stalled_bytes, self._stalled_since = self.pending_bytes, now
        return now - self._stalled_since

    def push_frame(self, room: int) -> None:
        """Sends at most `room` bytes of what waits, and the end when nothing is left."""
        first = self._pending[0]
        room = min(room, self.send_window, self.connection.peer_frame_bytes)
        piece = first[:room]
        size = len(piece)
        if size == len(first):
            self._pending.popleft()
        else:
            self._pending[0] = first[size:]
        self.pending_bytes -= size
        self.send_window -= size
        self.connection.send_window -= size
        self.connection.write(head.pack(size >> 8, size & 0xFF, DATA, 0, self.id), piece)
        if self.pending_bytes <= _DRAIN_BYTES:
            self._wake()
        if not self.pending_bytes and self._last is not None:
            self._write_end(self._last)

    def lose(self) -> None:
        """The peer, or the whole connection, is gone."""
        if not self.closed:
            self.closed = True
            self._drop()
            receiver, self.receiver = self.receiver, _NOBODY
            receiver.lost()

    def _write_end(self, last: bytes | None) -> None:
        if last:
            self._write_block(last, END_STREAM)
        else:
            self.connection.write(frame(DATA, END_STREAM, self.id))
        self._close()

    def _write_block(self, block: bytes, flags: int) -> None:
        limit = self.connection.peer_frame_bytes
        if len(block) <= limit:
            self.connection.write(frame(HEADERS, flags | END_HEADERS, self.id, block))
            return
        self.connection.write(frame(HEADERS, flags, self.id, block[:limit]))
        for at in range(limit, len(block), limit):
            end = END_HEADERS if at + limit >= len(block) else 0
            self.connection.write(frame(CONTINUATION, end, self.id, block[at : at + limit]))

    def _drop(self) -> None:
        self._pending.clear()
        self.pending_bytes = 0
        self._last = None
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _close(self) -> None:
        self.closed = True
        self.receiver = _NOBODY
        if not self.ended:
            self.connection.rests.add(self.id, self.unread)
        self.connection.forget(self)
