"""The life of one connection: whose turn it is to be answered, and when it ends."""

from __future__ import annotations

from abc import abstractmethod
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..http2 import connection as http2
from .client_name import client_name
from .http2_door import Http2Door
from .limits import STOPPING_LINGER_S
from .serving import Serving
from .socket_prediction import CONTINUE, Refusal, SocketPrediction

if TYPE_CHECKING:
    import asyncio


class Outlet:
    """In place of a connection's transport for uvicorn's own cycles, which close it after the last answer."""

    __slots__ = ("_connection", "write")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.write = connection.transport.write

    def close(self) -> None:
        self._connection.close(lingers=self._connection.transport.can_write_eof())


class Connection(HttpToolsProtocol):
    """Keeps the order of answers; predictions and uvicorn's own cycles stand in one pipeline."""

    serving: ClassVar[Serving]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # app.py logs what goes through ASGI
        self.peer = ""
        self.began = self.now = monotonic()
        """Of the newest request's first byte; of the newest bytes."""
        self.incoming: SocketPrediction | None = None
        self.running: SocketPrediction | None = None
        self.deaf = False
        """Everything that still comes in is dropped; the connection closes soon."""
        self.receiving = self.in_head = False
        """Of a request whose first byte has come: its last one has not; its header has not ended."""
        self.last = False
        """The server stops: the request that is coming in is the last one."""
        self._stopping = False
        """The server waits for this connection to end."""
        self._held = False
        """The next request waits until the caller has read enough of the answers before it."""
        self.idle_since = self.began
        """Since nothing was asked, or since a refusal was written."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.peer = client_name(self.client)
        self.serving.sweeper.add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self.serving.sweeper.discard(self)
        self.deaf = True
        self._drop_pipeline()
        running, self.running, self.incoming = self.running, None, None
        if running is not None:
            running.disconnected = True
            running.cancel()
        super().connection_lost(exc)

    @abstractmethod
    def sweep(self, now: float) -> None:
        """Ends it when its time is over. `now`: `time.monotonic()`."""

    def shutdown(self) -> None:
        """uvicorn stops: what has begun is finished, then the connection closes."""
        self._stopping = True
        cycle: Any = self.cycle
        if self.in_head and not self.deaf:
            self.last = True
        elif cycle is not None and cycle.disconnected:
            self.transport.close()  # it was dropped, behind the last one that is answered
        elif self.pipeline:
            self.pipeline[0][0].keep_alive = False  # the newest
        else:
            super().shutdown()

    def speak_http2(self, data: bytes) -> None:
        """The caller begins as HTTP/2 does: from here on the connection is that protocol's."""
        self.deaf = True
        if self.serving.http2_door is None:
            self.serving.http2_door = Http2Door(self.serving, self.app, self.app_state)
        connection = http2.Connection(self.serving.http2_door, self.loop, self._http2_closed)
        self.connections.discard(self)
        self.connections.add(connection)  # type: ignore[arg-type]  # uvicorn only calls shutdown()
        self.serving.sweeper.discard(self)
        self.serving.sweeper.add(connection, self.loop)
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)
        connection.data_received(data)

    def _http2_closed(self, connection: http2.Connection) -> None:
        self.serving.sweeper.discard(connection)
        self.connections.discard(connection)

    def pause_writing(self) -> None:
        super().pause_writing()
        if not self.transport.is_closing():
            self.flow.pause_reading()  # who does not read answers may not send more requests

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.transport.is_closing():
            return
        if self._held:
            self._held = False
            self.on_response_complete()
        elif not self.pipeline:
            self.flow.resume_reading()

    def take_turn(self, prediction: SocketPrediction) -> None:
        """Everything before this pipelined prediction is answered."""
        if prediction.disconnected:
            return
        self.running = prediction
        if prediction.complete:
            prediction.launch(monotonic(), self.loop)
        elif prediction.expects_continue:
            self.transport.write(CONTINUE)

    def answered(self, prediction: SocketPrediction | Refusal) -> None:
        """A prediction's answer is written."""
        self.running = None
        if prediction.disconnected or self.transport.is_closing():
            self.server_state.total_requests += 1
        elif not prediction.keep_alive:
            self.server_state.total_requests += 1
            self.close(lingers=prediction.lingers or self.receiving or self.transport.can_write_eof())
        elif self.pipeline or self.flow.read_paused:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.idle_since = self.now

    def on_response_complete(self) -> None:
        if self.flow.write_paused and not self.transport.is_closing():
            self._held = True
            return
        super().on_response_complete()
        self._unset_keepalive_if_required()  # the sweeper watches idle connections, at no price per request
        self.idle_since = monotonic()

    def close(self, *, lingers: bool) -> None:
        """Takes nothing more.

        Args:
            lingers: the caller may still be sending. Closing with bytes unread resets the connection, and
                answers that are on their way with it; so what comes is dropped until the caller closes too.
        """
        self.deaf = True
        self._drop_pipeline()
        if lingers:
            self.idle_since = monotonic()
            if self.transport.can_write_eof():  # else TLS: the caller closes, or the sweeper does
                self.transport.write_eof()
            self.flow.resume_reading()
            if self._stopping:
                self.loop.call_later(STOPPING_LINGER_S, self.transport.close)
        else:
            self.transport.close()

    def _drop_pipeline(self) -> None:
        """Nobody will be answered any more; what bodies they brought is no longer held."""
        waiting: list[Any] = [cycle for cycle, _ in self.pipeline]
        self.pipeline.clear()
        for cycle in waiting:
            cycle.disconnected = True
            if isinstance(cycle, SocketPrediction):
                cycle.cancel()
