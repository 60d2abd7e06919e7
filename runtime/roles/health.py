"""Plain HTTP for probes and scrapes of a worker container, which has no HTTP server else.

One request a connection, headers up to 8 KiB within five seconds, then an answer and the end. Whoever asks
needs no token, as on the port of an API container.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from http import HTTPStatus

HEAD_BYTES = 8 * 1024
CALLER_S = 5.0
MAX_CALLERS = 64
"""At a time; more are closed unanswered."""

Answer = tuple[int, str, bytes]
"""Status, media type, body."""
Page = Callable[[str], Answer]
"""From the request's `Accept` to the answer; it runs in a thread."""


class Health:
    """
    Args:
        listening: sockets, closed at the end.
        pages: path to what is answered there.
    """

    def __init__(self, listening: Sequence[socket.socket], pages: dict[str, Page]) -> None:
        self._listening = listening
        self._pages = pages
        self._servers: list[asyncio.AbstractServer] = []
        self._callers = 0

    async def start(self) -> None:
        for one in self._listening:
            self._servers.append(await asyncio.start_server(self._asked, sock=one, limit=HEAD_BYTES))

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers += 1
        try:
            if self._callers <= MAX_CALLERS:
                await asyncio.wait_for(self._answer(reader, writer), CALLER_S)
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass  # it hung up, or sends no request: nobody waits for an answer
        finally:
            self._callers -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        page = self._pages.get(rest.partition(" ")[0].partition("?")[0])
        accept = next((line.partition(":")[2] for line in lines if line.lower().startswith("accept:")), "")
        if page is None:
            status, kind, body = 404, "text/plain", f"here are {', '.join(self._pages)}\n".encode()
        elif method not in {"GET", "HEAD"}:
            status, kind, body = 405, "text/plain", b"use GET\n"
        else:
            status, kind, body = await asyncio.to_thread(page, accept)
        writer.write(
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {kind}\r\n"
            f"content-length: {len(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n".encode()
        )
        writer.write(b"" if method == "HEAD" else body)
        await writer.drain()
