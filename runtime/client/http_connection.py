"""One blocking HTTP/1.1 connection, and the pool of them: thread-safe, and safe to fork with."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time

from ...errors import ConnectionFailedError
from ..schema.kind import Buffer
from .address import Address
from .answer import Answer
from .idle_connections import IdleConnections
from .patience import remaining_s, too_late

_READ_BYTES = 256 * 1024
_TOGETHER_BYTES = 64 * 1024


class Connection:
    """A socket that carries one request after the other."""

    def __init__(self, address: Address, context: ssl.SSLContext | None, deadline: float) -> None:
        limit_s = remaining_s(deadline)
        try:
            plain = socket.create_connection((address.host, address.port), limit_s)
        except OSError as error:
            if time.monotonic() >= deadline:
                raise too_late() from error
            raise ConnectionFailedError(f"cannot connect to {address}: {error}") from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket = (
                plain if context is None else context.wrap_socket(plain, server_hostname=address.host)
            )
        except OSError as error:
            plain.close()
            raise ConnectionFailedError(f"no TLS with {address}: {error}") from error
        self._address = address
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def send(self, head: bytes, body: list[Buffer], deadline: float) -> None:
        """Raises ConnectionFailedError; the server did not get the whole request then."""
        try:
            self._socket.settimeout(remaining_s(deadline))
            for piece in together(head, body):
                self._socket.sendall(piece)
        except TimeoutError as error:
            raise too_late() from error
        except OSError as error:
            raise ConnectionFailedError(f"lost {self._address} while sending: {error}") from error

    def receive(self, answer: Answer, deadline: float) -> None:
        """Reads once, and feeds the answer."""
        try:
            self._socket.settimeout(remaining_s(deadline))
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError as error:
            raise too_late() from error
        except OSError as error:
            raise ConnectionFailedError(f"lost {self._address}: {error}", sent=True) from error
        if data:
            answer.feed(data)
        else:
            answer.eof()

    def receive_rest(self, answer: Answer, deadline: float) -> None:
        """Reads until the answer is whole; a large body of known length into one place."""
        while not answer.whole:
            if answer.missing > _READ_BYTES:
                self._fill(answer, deadline)
            else:
                self.receive(answer, deadline)

    def _fill(self, answer: Answer, deadline: float) -> None:
        came = answer.take()
        body = bytearray(len(came) + answer.missing)
        at, space = len(came), memoryview(body)
        space[:at] = came
        while at < len(body):
            try:
                self._socket.settimeout(remaining_s(deadline))
                count = self._socket.recv_into(space[at:])
            except TimeoutError as error:
                raise too_late() from error
            except OSError as error:
                raise ConnectionFailedError(f"lost {self._address}: {error}", sent=True) from error
            if not count:
                answer.eof()
            at += count
        space.release()
        answer.filled(body)

    def is_fresh(self) -> bool:
        """Whether nothing came since the last answer: neither the end nor what nobody asked for."""
        return not self._poll.poll(0)

    def close(self) -> None:
        self._socket.close()


def together(head: bytes, body: list[Buffer]) -> list[Buffer]:
    """As few pieces as there are large ones: what is small goes with what stands before it."""
    pieces: list[Buffer] = []
    small = [head]
    for piece in body:
        if len(piece) <= _TOGETHER_BYTES:
            small.append(bytes(piece))
        else:
            pieces += [b"".join(small), piece]
            small = []
    return [*pieces, b"".join(small)] if small else pieces


class Pool:
    """Connections to one server.

    Args:
        context: None: no TLS.
        most: as many at the same time; who comes later waits.
    """

    def __init__(self, address: Address, context: ssl.SSLContext | None, most: int) -> None:
        self._address = address
        self._context = context
        self._most = most
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._idle: IdleConnections[Connection] = IdleConnections()
        self._free = threading.BoundedSemaphore(self._most)

    def take(self, deadline: float) -> Connection:
        if os.getpid() != self._pid:
            self._renew()  # after a fork: the sockets are the parent's too
        if not self._free.acquire(timeout=remaining_s(deadline)):
            raise too_late()
        try:
            return self._idle.take() or Connection(self._address, self._context, deadline)
        except BaseException:
            self._free.release()
            raise

    def give(self, connection: Connection, *, usable: bool) -> None:
        if usable:
            self._idle.keep(connection)
        else:
            connection.close()
        self._free.release()

    def close(self) -> None:
        """Closes what is idle; what is in use is closed when it is given back by its user."""
        self._idle.close()
