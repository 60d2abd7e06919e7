"""One HTTP/1.1 connection in an event loop, and the pool of them."""

from __future__ import annotations

import asyncio
import ssl

from ...errors import ConnectionFailedError, TiffinError
from ..schema.kind import Buffer
from .address import Address
from .answer import Answer
from .http_connection import together
from .idle_connections import IdleConnections
from .patience import remaining_s, too_late

_MOST_WAITING_BYTES = 1024 * 1024
"""Of a stream that nobody takes: reading stops until somebody does."""


class HttpProtocol(asyncio.Protocol):
    """A connection that carries one request after the other."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: TiffinError | None = None
        self._paused = False
        self._streams = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a stream

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.close()  # nobody asked
            return
        try:
            answer.feed(data)
        except TiffinError as error:
            self._fail(error)
            return
        if self._streams and not answer.whole and sum(map(len, answer.pieces)) > _MOST_WAITING_BYTES:
            self._pause()
        self._wake()

    def eof_received(self) -> bool:
        if self._answer is not None and not self._answer.whole:
            try:
                self._answer.eof()
            except TiffinError as error:
                self._fail(error)
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._answer is not None and not self._answer.whole and self._failure is None:
            reason = (
                str(error) if error is not None else "it closed the connection before its answer was whole"
            )
            self._fail(ConnectionFailedError(f"lost {self._address}: {reason}", sent=True))

    def send(self, head: bytes, body: list[Buffer], answer: Answer, *, streams: bool = False) -> None:
        """Raises ConnectionFailedError when the connection is gone already."""
        transport = self._transport
        if transport is None or self.lost or transport.is_closing():
            raise ConnectionFailedError(f"lost {self._address} before sending")
        self._answer, self._failure, self._streams = answer, None, streams
        for piece in together(head, body):
            transport.write(piece)

    async def more(self, deadline: float) -> None:
        """Waits until something came, or the answer is whole; raises what ended it."""
        self._check()
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_later(remaining_s(deadline), self._time_out, waiter)
        self._resume()
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
        if not (self._answer and self._answer.whole):
            self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def rest(self, answer: Answer, deadline: float) -> None:
        """Waits until the answer is whole."""
        while not answer.whole:
            await self.more(deadline)

    def is_fresh(self) -> bool:
        closing = self._transport is None or self._transport.is_closing()
        return not (self.lost or closing)

    def done(self) -> None:
        self._answer = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: TiffinError) -> None:
        self._failure = error
        self._wake(always=True)

    def _wake(self, *, always: bool = False) -> None:
        waiter, answer = self._waiter, self._answer
        if waiter is None or waiter.done():
            return
        # A call is woken once, by its whole answer; a stream by every piece.
        if always or answer is None or answer.whole or (answer.status and self._streams):
            waiter.set_result(None)

    def _time_out(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_exception(too_late())

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self.lost:
            self._paused = False
            self._transport.resume_reading()


class AsyncPool:
    """Connections to one server, in one event loop.

    Args:
        context: None: no TLS.
        most: as many at the same time; who comes later waits.
    """

    def __init__(self, address: Address, context: ssl.SSLContext | None, most: int) -> None:
        self._address = address
        self._context = context
        self._most = most
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: IdleConnections[HttpProtocol] = IdleConnections()
        self._free = asyncio.Semaphore(most)

    async def take(self, deadline: float) -> HttpProtocol:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # another asyncio.run: the connections went with the loop before
            self._loop, self._idle, self._free = loop, IdleConnections(), asyncio.Semaphore(self._most)
        if self._free.locked():
            try:
                await asyncio.wait_for(self._free.acquire(), remaining_s(deadline))
            except asyncio.TimeoutError as error:
                raise too_late() from error
        else:
            await self._free.acquire()
        try:
            return self._idle.take() or await self._connect(loop, deadline)
        except BaseException:
            self._free.release()
            raise

    async def _connect(self, loop: asyncio.AbstractEventLoop, deadline: float) -> HttpProtocol:
        address, name = self._address, self._address.host if self._context is not None else None
        making = loop.create_connection(
            lambda: HttpProtocol(address), address.host, address.port, ssl=self._context, server_hostname=name
        )
        try:
            _, protocol = await asyncio.wait_for(making, remaining_s(deadline))
        except asyncio.TimeoutError as error:
            raise too_late() from error
        except OSError as error:
            raise ConnectionFailedError(f"cannot connect to {address}: {error}") from error
        return protocol

    def give(self, protocol: HttpProtocol, *, usable: bool) -> None:
        protocol.done()
        if usable:
            self._idle.keep(protocol)
        else:
            protocol.close()
        self._free.release()

    def close(self) -> None:
        self._idle.close()
