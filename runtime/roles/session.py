"""One connection as long as it carries messages: until frames take it over, or for good."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from ...errors import WireError
from .messages import KNOCK_BYTES, LENGTH, Message, decode, encode

M = TypeVar("M", bound=Message)

MAX_UNREAD = 64
"""Messages that may wait here: whoever sends more than is read means no good."""
MAX_UNSENT_BYTES = 4 * 1024 * 1024
"""What may wait for a peer that does not read."""


class Session(asyncio.BufferedProtocol):
    """Memory is bounded by the longest message that is allowed, whatever the peer sends."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(LENGTH.size + KNOCK_BYTES))
        self._filled = 0
        self._unread: asyncio.Queue[Message | Exception] = asyncio.Queue()

    def allow(self, message_bytes: int) -> None:
        """From now on the peer may send messages of this size."""
        larger = memoryview(bytearray(LENGTH.size + message_bytes))
        larger[: self._filled] = self._buffer[: self._filled]
        self._buffer = larger

    async def receive(self, kind: type[M]) -> M:
        """The next message.

        Raises:
            ConnectionError: the peer has closed, or the connection was lost.
            WireError: it is of another kind, or none at all.
        """
        message = await self.receive_any()
        if not isinstance(message, kind):
            raise WireError(f"{type(message).__name__} came where {kind.__name__} was due")
        return message

    async def receive_any(self) -> Message:
        """The next message of whatever kind; raises like `receive`."""
        message = await self._unread.get()
        if isinstance(message, Exception):
            self._unread.put_nowait(message)  # whoever asks again gets it again
            raise message
        return message

    def send(self, message: Message) -> None:
        """Queues it; to a peer that is gone nothing is sent, and `receive` tells."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(encode(message))
            if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
                self._end(WireError("the peer does not read what it is told"))

    def close(self) -> None:
        """Sends what is queued, then closes."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._buffer[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        at = 0
        try:
            while self._filled - at >= LENGTH.size:
                (size,) = LENGTH.unpack_from(self._buffer, at)
                if size > len(self._buffer) - LENGTH.size:
                    raise WireError(f"a message of {size:,} bytes")  # noqa: TRY301
                if self._filled - at < LENGTH.size + size:
                    break
                self._unread.put_nowait(decode(self._buffer[at + LENGTH.size : at + LENGTH.size + size]))
                at += LENGTH.size + size
            if self._unread.qsize() > MAX_UNREAD:
                raise WireError(f"more than {MAX_UNREAD} messages at once")  # noqa: TRY301
        except WireError as error:
            self._end(error)
            self._filled = 0
            return
        rest = bytes(self._buffer[at : self._filled])
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread.put_nowait(exc or ConnectionResetError("the peer has closed"))

    def _end(self, error: WireError) -> None:
        self._unread.put_nowait(error)
        self.abort()
