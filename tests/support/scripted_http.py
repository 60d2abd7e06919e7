"""A server of sockets that does what it is told, a script a connection, and keeps what it was sent."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

Script = Callable[["Peer"], None]

CALLING = {"stream": False, "timeout_s": 60.0, "output": {"kind": "number", "schema": {"type": "number"}}}
OPERATION = {
    "operationId": "add",
    "description": "Adds one.\n\nAnswered within 60 s.",
    "x-tiffin": {
        **CALLING,
        "parameters": [{"name": "x", "kind": "number", "required": True, "schema": {"type": "number"}}],
    },
}
COUNT = {
    "operationId": "count",
    "x-tiffin": {**CALLING, "stream": True, "parameters": []},
}
SCHEMA = json.dumps({"paths": {"/add": {"post": OPERATION}, "/count": {"post": COUNT}}}).encode()


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket, log: list[bytes]) -> None:
        self.socket = connection
        self._log = log
        self._rest = b""

    def request(self) -> bytes:
        """The next request, whole: head and body; kept in the server's `requests`."""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._read()
        head, _, rest = self._rest.partition(b"\r\n\r\n")
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        while len(rest) < size:
            rest += self._read()
        self._rest = rest[size:]
        found = head + b"\r\n\r\n" + rest[:size]
        self._log.append(found)
        return found

    def answer(
        self, body: bytes = b"3", *headers: str, status: str = "200 OK", kind: str = "application/json"
    ) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _read(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the client went away")
        return data


def serve(peer: Peer) -> None:
    """Answers everything: the schema, and 3 to all calls."""
    while True:
        peer.answer(SCHEMA if peer.request().startswith(b"GET ") else b"3")


class Scripted:
    """Runs one script for each connection in the order in which they come; the last one for all others.

    Attributes:
        requests: all that came, whole.
        connections: how many there were.
    """

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None) -> None:
        self._scripts: Sequence[Script] = scripts or (serve,)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Scripted:  # noqa: PYI034 - Self came with 3.11
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        self._threads: list[threading.Thread] = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._run, args=(connection, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket, script: Script) -> None:
        with suppress(OSError):
            wrapped: Any = connection
            if self._context is not None:
                wrapped = self._context.wrap_socket(connection, server_side=True)
                self._open.append(wrapped)
            with wrapped:
                script(Peer(wrapped, self.requests))
