"""uvicorn's WebSocket protocol with the manners of our connections: says goodbye, sees who hung up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .limits import hung_up
from .serving import Serving
from .websocket import GOING_AWAY, POLICY_VIOLATION, Socket
from .websocket_handshake import TENANT

if TYPE_CHECKING:
    from websockets.frames import Frame
    from websockets.http11 import Request

    from .state import ServerState


_SLICE_BYTES = 16 * 1024
"""So much is looked at before a connection that misbehaves is seen to be closed."""
_SMALL_BYTES = 64
_NUISANCES = 5000
"""Frames in a second that cost work and bring nothing: pings, pongs, small pieces of a message."""
_NO_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def websocket_options(state: ServerState) -> dict[str, Any]:
    """What to give to `uvicorn.Config`."""
    serving = Serving.of(state)
    return {
        "ws": type("ServedSocket", (ServedSocket,), {"serving": serving}),
        "ws_max_size": max((route.max_body_bytes for route in serving.table.routes), default=0),
        "ws_per_message_deflate": False,  # arrays hardly shrink, and every connection would hold two windows
    }


class ServedSocket(WebSocketsSansIOProtocol):
    """One connection, to an api or to an application of the user's."""

    serving: ClassVar[Serving]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tenant: Socket | None = None
        self._told = False
        self._nuisances = 0
        """Since the last sweep."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.serving.sweeper.add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self.serving.sweeper.discard(self)
        super().connection_lost(exc)
        if self._tenant is not None:
            self._tenant.lost()

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _SLICE_BYTES):
            super().data_received(data[start : start + _SLICE_BYTES])
            if self.transport.is_closing():
                return
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # The library has refused the head; uvicorn waits for a request that will not come.
            self.transport.write(b"".join(self.conn.data_to_send()) or _NO_HANDSHAKE)
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:  # else the handshake was none
            scope["extensions"][TENANT] = self._take_in

    def handle_cont(self, event: Frame) -> None:
        if len(event.data) < _SMALL_BYTES:
            self._nuisance()
        super().handle_cont(event)

    def handle_ping(self) -> None:
        self._nuisance()
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        self._nuisance()
        super().handle_pong(event)

    def _nuisance(self) -> None:
        self._nuisances += 1
        if self._nuisances > _NUISANCES and not self.transport.is_closing():
            self.conn.send_close(POLICY_VIOLATION, "too many frames that bring nothing")
            self.handle_parser_exception()  # sends that, tells the application, and ends

    def _take_in(self, tenant: Socket) -> None:
        self._tenant = tenant

    def sweep(self, now: float) -> None:  # noqa: ARG002 - asked for by Swept
        self._nuisances = 0
        if self.transport.is_closing():
            return
        if self.read_paused and hung_up(self.transport):
            self.transport.abort()
        elif self.serving.state.draining:
            self.shutdown()

    def shutdown(self) -> None:
        """The server stops."""
        if self._told:
            return
        if self._tenant is not None:
            self._told = True
            self._tenant.leave()
        elif self.handshake_complete and not self.close_sent:
            self._told = True
            self.stop_keepalive()
            self.queue.put_nowait({"type": "websocket.disconnect", "code": GOING_AWAY, "reason": ""})
            self.conn.send_close(GOING_AWAY, "the server is stopping")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        else:
            super().shutdown()

    def keepalive_timeout(self) -> None:
        if self.read_paused:  # its answer to the ping may be among what is not read yet
            self.pong_timer = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()
