"""The connection of an API process to one worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from math import inf

from ...errors import UnavailableError, WireError
from ..supervisor.control import WorkerAddress
from ..wire import frame
from ..wire.arena import Arena, memory_file
from ..wire.frame import Frame, FrameReader
from ..wire.messages import PROTOCOL, Call, Cancel, Failure, Hello, Result, dump, load
from ..wire.push import SOCKET_BYTES, push
from ..wire.values import unpack
from .dispatcher import Dispatcher
from .parcel import Parcel

log = logging.getLogger("tiffin.batching")

HELLO_TIMEOUT_S = 30.0
"""A worker says hello between two batches, so it may take as long as one."""


async def connect(
    address: WorkerAddress, dispatcher: Dispatcher, *, timeout_s: float = HELLO_TIMEOUT_S
) -> Link:
    """Connects to a warm worker and adds it to the dispatcher.

    The link leaves the dispatcher by itself when the connection is lost.

    Raises:
        UnavailableError: nobody listens there, or it does not say hello in time.
        WireError: it speaks another version of the protocol.
    """
    try:
        link = await _connected(address, dispatcher, timeout_s)
    except (OSError, asyncio.TimeoutError) as error:
        raise UnavailableError(
            f"worker {address.id} cannot be reached at {address.address}: {error}"
        ) from error
    return await link.until_greeted(timeout_s)


async def _connected(address: WorkerAddress, dispatcher: Dispatcher, timeout_s: float) -> Link:
    """
    Raises:
        OSError: nobody listens there, or this process may not open more.
        asyncio.TimeoutError: it does not accept in time.
    """
    loop = asyncio.get_running_loop()
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        connecting = asyncio.ensure_future(loop.sock_connect(end, address.address))
        try:  # before Python 3.12 `asyncio.wait_for` may swallow a cancellation
            await asyncio.wait({connecting}, timeout=timeout_s)
            if not connecting.done() or connecting.cancelled():
                raise asyncio.TimeoutError
            connecting.result()
        finally:
            connecting.cancel()
        arenas = _say_hello(end)
        _, link = await loop.create_unix_connection(
            lambda: Link(address.id, dispatcher, end, *arenas), sock=end
        )
    except BaseException:
        end.close()
        raise
    return link


def _say_hello(end: socket.socket) -> tuple[Arena | None, Arena | None]:
    """Hello, with an arena for either direction: (to the worker, from it); the first bytes always fit."""
    hello = frame.encode(frame.HELLO, 0, dump(Hello(PROTOCOL, f"api {os.getpid()}")))
    fds: list[int] = []
    try:
        try:
            fds.extend(memory_file() for _ in range(2))
            arenas = Arena(fds[0]), Arena(fds[1])
        except OSError:  # not Linux, or not allowed here: everything goes through the socket
            end.sendall(hello[0])
            return None, None
        socket.send_fds(end, hello, fds)
        return arenas
    finally:
        for fd in fds:
            os.close(fd)


class Link(asyncio.BufferedProtocol):
    """Frames in both directions; `ports.WorkerLink` for the dispatcher.

    Args:
        worker: id of the worker.
        end: the socket of the transport. What it takes at once is written to it directly: a transport waits
            for the end of the loop's turn, and the worker with it.
        outgoing: shared memory for large batches; None sends them through the socket, as does a worker
            that says that it does not share it.
        incoming: shared memory for large results.
    """

    def __init__(
        self,
        worker: str,
        dispatcher: Dispatcher,
        end: socket.socket,
        outgoing: Arena | None,
        incoming: Arena | None,
    ) -> None:
        self.id = worker
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the worker has said hello and may be given work."""
        self.closed = asyncio.Event()
        """Set when the connection is gone."""
        self._dispatcher = dispatcher
        self._end = end
        self._reader = FrameReader(arena=incoming)
        self._outgoing = outgoing
        self._transport: asyncio.Transport | None = None
        self._added = False
        self._lost = "connection lost"

    async def until_greeted(self, timeout_s: float) -> Link:
        """Itself, once the worker has said hello.

        Raises:
            UnavailableError: it did not in time, or closed the connection.
            WireError: it speaks another version of the protocol.
        """
        try:
            await asyncio.wait_for(asyncio.shield(self.greeted), timeout_s)
        except asyncio.TimeoutError:
            self.greeted.cancel()  # nobody asks for it any more
            self.abort()
            raise UnavailableError(f"worker {self.id} did not say hello within {timeout_s:g} s") from None
        except BaseException:
            self.greeted.cancel()
            self.abort()
            raise
        return self

    # -- what the dispatcher and the process use

    def send(self, parcel: Parcel) -> None:
        packed, buffers = parcel.pack()
        head = Call(parcel.method, parcel.counts, parcel.remaining_s, packed, parcel.kwargs[0], parcel.weight)
        flags = frame.ALONE if parcel.alone else 0
        self._write(
            frame.encode(frame.CALL, parcel.batch, dump(head), buffers, flags=flags, arena=self._outgoing)
        )

    def cancel(self, batch: int, requests: list[int]) -> None:
        self._write(frame.encode(frame.CANCEL, batch, dump(Cancel(requests))))

    def finish(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def lose(self) -> None:
        """The worker is gone: what has come by now is read, and then the connection is lost."""
        with contextlib.suppress(OSError):  # it is closed
            self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Gives the worker nothing new; closes as soon as it has answered what it holds."""
        if self._added:
            self._dispatcher.retire_worker(self)
        else:
            self.abort()

    def _write(self, pieces: list[frame.Buffer]) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return  # connection_lost follows and takes care of the batch
        if not transport.get_write_buffer_size():
            try:
                pieces = push(self._end, pieces)
            except OSError:
                return  # the transport finds out by itself
        if pieces:
            transport.writelines(pieces)

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._reader.space()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            for received in self._reader.filled(nbytes):
                self._handle(received)
        except WireError as error:
            self._malformed(error)
            log.error("worker %s: %s", self.id, self._lost)  # noqa: TRY400 - the traceback is ours, the fault is not
        except Exception as error:  # numpy reads descriptions too, and raises whatever it likes
            self._malformed(WireError(str(error)))
            log.exception("worker %s: %s", self.id, self._lost)

    def _malformed(self, error: WireError) -> None:
        self._lost = f"malformed frame: {error}"
        if not self.greeted.done():
            self.greeted.set_exception(error)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._lost = f"connection lost: {exc}"
        self._transport = None
        if not self.greeted.done():
            self.greeted.set_exception(
                UnavailableError(f"worker {self.id} closed the connection before hello")
            )
        self._dispatcher.remove_worker(self, self._lost)
        self.closed.set()

    def _handle(self, received: Frame) -> None:
        kind = received.kind
        if kind == frame.RESULT:
            self._take_result(received)
        elif kind == frame.ERROR:
            self._take_failure(received)
        elif kind == frame.BEGIN:
            self._dispatcher.on_begin(self, received.batch)
        elif kind == frame.HELLO:
            self._greet(load(Hello, received.head))
        elif kind == frame.BYE:
            self._dispatcher.retire_worker(self)
        else:
            raise WireError(f"a worker does not send frames of kind {kind}")

    def _take_result(self, received: Frame) -> None:
        result = load(Result, received.head)
        _check(result)
        try:
            value = unpack(result.value, received.buffers)
        except (ImportError, MemoryError) as error:  # the worker has a package that this process lacks
            told = Failure(
                "WireError", f"the result cannot be read here: {error!r}", "", dropped=result.dropped
            )
            self._dispatcher.on_failure(self, received.batch, told)
        else:
            self._dispatcher.on_result(self, received.batch, value, result.model_s, result.dropped)

    def _take_failure(self, received: Frame) -> None:
        told = load(Failure, received.head)
        _check(told)
        if "\0" in told.type or not 0 <= told.retry_after_s < inf:
            raise WireError("an error that cannot be raised")
        self._dispatcher.on_failure(self, received.batch, told)

    def _greet(self, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            raise WireError(f"{hello.peer} speaks protocol {hello.protocol}, this process {PROTOCOL}")
        if not hello.shares:
            self._outgoing = None
        if not self._added:
            self._added = True
            self._dispatcher.add_worker(self)
            if not self.greeted.done():
                self.greeted.set_result(None)


def _check(told: Result | Failure) -> None:
    """What is counted must be numbers, and what is looked up must be places.

    Raises:
        WireError: it is not.
    """
    if not 0 <= told.model_s < inf:
        raise WireError(f"a batch that ran for {told.model_s} s")
    if told.dropped and min(told.dropped) < 0:
        raise WireError("a request at a negative place")
