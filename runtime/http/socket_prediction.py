"""A prediction on a connection of the server: writes its answer as bytes, without ASGI."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from . import problem
from .exchange import Headers
from .head_faults import fault_of
from .prediction import Prediction
from .reply import field_lines

if TYPE_CHECKING:
    from .head import Head
    from .protocol import PredictionProtocol

_JOIN_BYTES = 64 * 1024
"""A larger body is written after the head instead of being copied behind it."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _NoEvent:
    """What uvicorn would wake a waiting application with; a prediction never waits for it."""

    def set(self) -> None:
        pass


class SocketPrediction(Prediction):
    """Stands in uvicorn's pipeline where a `RequestResponseCycle` would stand, so both kinds answer in order.

    `response_complete`, `disconnected`, `keep_alive`, `message_event` and `run_asgi` are that class's
    interface.
    """

    message_event = _NoEvent()
    complete = False
    """The whole body has come."""
    turn = False
    """Every earlier request of the connection is answered."""
    response_complete = False
    disconnected = False
    keep_alive = True
    http10 = False
    expects_continue = False
    lingers = False
    """Close only after the caller had time to read the answer: it is still sending."""

    def __init__(self, protocol: PredictionProtocol, head: Head) -> None:
        self.serving = protocol.serving
        self.head = head
        self.client = protocol.peer
        self.protocol = protocol

    def look_at_connection(self) -> None:
        """What the parser has found out about the connection; a known head has nothing of it."""
        parser, fields = self.protocol.parser, self.head.fields
        self.keep_alive = parser.should_keep_alive()
        version = parser.get_http_version()
        self.http10 = version == "1.0"
        if (fault := fault_of(version, fields)) is not None:
            self.head.refusal = fault
            self.keep_alive = False
            self.lingers = True  # where its body ends, who knows
        # HTTP/1.0 knows of no interim answers (RFC 9110, 10.1.1).
        self.expects_continue = not self.http10 and fields.get(b"expect", b"").lower() == b"100-continue"

    async def run_asgi(self, _app: Any) -> None:
        """Its turn has come, says uvicorn's pipeline."""
        self.turn = True
        self.protocol.take_turn(self)

    def answer(self, status: int, media_type: str, body: bytes | memoryview, headers: Headers) -> None:
        protocol, serving = self.protocol, self.serving
        if not self.disconnected:
            size = len(body)
            start = serving.opening(status, media_type, protocol.server_state.default_headers)
            request_id = self.context.id.encode("ascii")
            if headers or serving.state.draining or not self.keep_alive or self.http10 or status == 204:
                length = b"" if status == 204 else b"content-length: %d\r\n" % size
                more = b"%b%b%b" % (length, self._connection(), field_lines(headers))
            else:
                more = b"content-length: %d\r\n" % size
            if self.head.method == b"HEAD":
                protocol.transport.write(b"%b%b\r\n%b\r\n" % (start, request_id, more))
            elif size <= _JOIN_BYTES or not isinstance(body, bytes):
                # A view may be of an array that the service changes later: copy it.
                whole: tuple[Any, ...] = (start, request_id, more, body)  # %b takes every buffer
                protocol.transport.write(b"%b%b\r\n%b\r\n%b" % whole)
            else:
                protocol.transport.write(b"%b%b\r\n%b\r\n" % (start, request_id, more))
                protocol.transport.write(body)
        self.response_complete = True
        protocol.answered(self)

    async def open_stream(self, media_type: str, headers: Headers) -> None:
        protocol = self.protocol
        if self.http10:
            self.keep_alive = False
        self.head_sent = True
        protocol.transport.write(
            b"%b%b\r\ncache-control: no-store\r\n%b%b%b\r\n"
            % (
                protocol.serving.opening(200, media_type, protocol.server_state.default_headers),
                self.context.id.encode("ascii"),
                b"" if self.http10 else b"transfer-encoding: chunked\r\n",
                self._connection(),
                field_lines(headers),
            )
        )

    async def send_chunk(self, data: bytes | memoryview) -> None:
        if self.disconnected or not len(data):
            return
        protocol = self.protocol
        data = bytes(data)
        protocol.transport.write(data if self.http10 else b"%x\r\n%b\r\n" % (len(data), data))
        if protocol.flow.write_paused:
            await protocol.flow.drain()
        else:
            await asyncio.sleep(0)  # a generator that never waits must not keep the others from running

    async def close_stream(self, *, broken: bool) -> None:
        protocol = self.protocol
        if broken:
            return self.lose()
        if not self.http10 and not self.disconnected:
            protocol.transport.write(b"0\r\n\r\n")
        self.response_complete = True
        return protocol.answered(self)

    def lose(self) -> None:
        self.keep_alive = False
        self.protocol.transport.abort()
        self.response_complete = True
        self.protocol.answered(self)

    def _connection(self) -> bytes:
        protocol = self.protocol
        if self.serving.state.draining and not (protocol.pipeline or protocol.receiving):
            self.keep_alive = False  # what came behind it is answered first
        if not self.keep_alive:
            return b"connection: close\r\n"
        return b"connection: keep-alive\r\n" if self.http10 else b""


class Refusal:
    """The answer to bytes that never became a request on a route; stands in the pipeline like the others."""

    message_event = _NoEvent()
    keep_alive = False
    lingers = True

    def __init__(self, protocol: PredictionProtocol, error: Exception) -> None:
        self.protocol = protocol
        self.error = error
        self.response_complete = False
        self.disconnected = False

    async def run_asgi(self, _app: Any) -> None:
        self.answer()

    def answer(self) -> None:
        protocol = self.protocol
        self.response_complete = True
        if self.disconnected:
            return
        report, request_id = protocol.serving.refuse(self.error, protocol.peer, monotonic() - protocol.began)
        protocol.transport.write(
            b"%b%b\r\ncontent-length: %d\r\nconnection: close\r\n%b\r\n%b"
            % (
                protocol.serving.opening(
                    report.status, problem.MEDIA_TYPE, protocol.server_state.default_headers
                ),
                request_id.encode("ascii"),
                len(report.body),
                field_lines(report.headers),
                report.body,
            )
        )
        protocol.answered(self)
