"""Requests over HTTP/2 for an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..service.raised import RAISED, pass_on_close
from . import header_block
from .error import CANCEL, INTERNAL_ERROR, PROTOCOL_ERROR

if TYPE_CHECKING:
    from .header_block import Fields
    from .stream import Stream

logger = logging.getLogger("tiffin.http2")

Message = MutableMapping[str, Any]
AsgiApp = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

_HELD_BYTES = 1024 * 1024
"""Of a body that the application has not taken; with more the caller is not allowed to send on."""
_OF_CONNECTIONS = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})


class AsgiHead:
    """What is the same for all requests with the same fields on a connection."""

    __slots__ = ("head_only", "length", "scope", "streaming")

    def __init__(self, fields: Fields) -> None:
        named = dict(fields)
        target = named[b":path"]
        path, _, query = target.partition(b"?")
        headers = [field for field in fields if field[0][:1] != b":"]
        if (authority := named.get(b":authority")) is not None and b"host" not in named:
            headers.insert(0, (b"host", authority))
        cookies = [value for name, value in headers if name == b"cookie"]
        if len(cookies) > 1:  # sent apart, meant as one (RFC 9113, 8.2.3)
            headers = [field for field in headers if field[0] != b"cookie"]
            headers.append((b"cookie", b"; ".join(cookies)))
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "2",
            "method": named[b":method"].decode("latin-1"),
            "scheme": named[b":scheme"].decode("latin-1"),
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
        }
        self.head_only = named[b":method"] == b"HEAD"
        length = named.get(b"content-length")
        self.length = None if length is None else int(length)
        self.streaming = False
        """The body may take as long as it likes."""


class AsgiStream:
    """One request.

    Args:
        app: that answers.
        state: of the application's lifespan, copied for each request.
    """

    def __init__(self, stream: Stream, head: AsgiHead, app: AsgiApp, state: dict[str, Any]) -> None:
        self._stream = stream
        self._head = head
        self._parts: deque[bytes | memoryview] = deque()
        self._held_bytes = 0
        self._told_end = False
        self._gone = False
        self._wake: asyncio.Future[None] | None = None
        self._started = self._finished = False
        stream.streaming = head.streaming
        connection = stream.connection
        scope = {
            **head.scope,
            "headers": list(head.scope["headers"]),
            "client": connection.transport.get_extra_info("peername"),
            "server": connection.transport.get_extra_info("sockname"),
            "state": state.copy(),
        }
        self._task = asyncio.get_running_loop().create_task(self._run(app, scope))

    # What the stream receives

    def data(self, piece: bytes | memoryview) -> None:
        self._parts.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > _HELD_BYTES:
            self._stream.held = True
        self._wake_up()

    def end(self) -> None:
        if self._head.length is not None and self._head.length != self._stream.received:
            self._stream.reset(PROTOCOL_ERROR)  # malformed, says RFC 9113, 8.1.1
            self.lost()
            return
        self._wake_up()

    def lost(self) -> None:
        self._gone = True
        self._wake_up()

    # The application

    async def _run(self, app: AsgiApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            self._stream.reset(CANCEL)
            raise
        except RAISED as error:
            pass_on_close(error, self._task)
            logger.exception("%s %s failed", scope["method"], scope["path"])
        if not self._finished and not self._gone:
            if self._started:
                self._stream.reset(INTERNAL_ERROR)
            else:
                self._stream.refuse(header_block.write(((b":status", b"500"), (b"content-length", b"0"))))

    async def _receive(self) -> Message:
        while True:
            if self._gone:
                return {"type": "http.disconnect"}
            ended = self._stream.ended
            if self._parts or (ended and not self._told_end):
                body = b"".join(self._parts)
                self._parts.clear()
                self._held_bytes = 0
                self._stream.take()
                self._told_end = ended
                return {"type": "http.request", "body": body, "more_body": not ended}
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    async def _send(self, message: Message) -> None:
        if self._gone or self._finished:
            return
        if message["type"] == "http.response.start":
            fields = [(b":status", b"%d" % message["status"])]
            fields += [
                (bytes(name).lower(), bytes(value))
                for name, value in message.get("headers", ())
                if bytes(name).lower() not in _OF_CONNECTIONS
            ]
            self._block = header_block.write(fields)
            return
        if not self._started:
            self._started = True
            self._stream.start(self._block)
        body = b"" if self._head.head_only else message.get("body", b"")
        self._stream.send(body)
        if message.get("more_body", False):
            await self._stream.drain()
        else:
            self._finished = True
            self._stream.finish(None)

    def _wake_up(self) -> None:
        waiter, self._wake = self._wake, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
