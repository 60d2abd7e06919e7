"""One call that came as a message of a WebSocket."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from . import events
from .dialect import Asked, Dialect, Written
from .exchange import Headers
from .prediction import Prediction
from .websocket_messages import Envelopes, Said, Writer, writer

if TYPE_CHECKING:
    from ..schema.outputs import Body
    from .head import Head
    from .intake import Intake
    from .problem import Problem
    from .serving import Serving
    from .websocket import Socket


class WebSocketDialect(Dialect):
    """Items go out one a message; how a stream ended is a message of its own, see `close_stream`."""

    stream_type = events.MEDIA_TYPE

    def item(self, data: Body) -> bytes:
        return bytes(data)

    def end(self) -> bytes:
        return b""

    def broken(self, report: Problem) -> bytes:  # noqa: ARG002 - the prediction has it
        return b""


WEBSOCKET = WebSocketDialect()


class WebSocketPrediction(Prediction):
    """Counted, limited, logged and cancelled like any other.

    Args:
        head: of the connection, for messages of this form; its route has the dialect `WEBSOCKET`.
        said: the message.
        intake: of the items that follow; None: the message has all parameters.
    """

    report: Problem | None = None
    """What went wrong, when something did."""

    def __init__(
        self, serving: Serving, head: Head, client: str, socket: Socket, *, said: Said, intake: Intake | None
    ) -> None:
        head = copy.copy(head)
        super().__init__(serving, head, client)
        self.id = said.id
        self.form = said.form
        self.intake = intake
        self._socket = socket
        self._envelopes = Envelopes(said.form, said.id)
        self._writer: Writer = writer(head.route.info.output, said.form, said.id)
        head.decode = self._decode

    def _decode(self, body: Any) -> Asked:
        head, intake = self.head, self.intake
        if intake is None:
            arguments = head.route.info.inputs.decode(head.media_type, body, head.query)
        else:
            arguments = intake.stream.rest.decode(head.media_type, body, head.query)
            arguments[intake.stream.name] = intake.feed
        return Asked(arguments, self._write)

    def _write(self, value: Any) -> Written:
        return Written("", self._writer.encode(value))

    def _problem(self, error: BaseException) -> Problem:
        self.report = super()._problem(error)
        return self.report

    def _settle(self, status: int, size_bytes: int) -> None:
        super()._settle(status, size_bytes)
        if self.intake is not None:
            self.intake.feed.close()
        self._socket.settled(self)

    # The door

    def answer(self, status: int, media_type: str, body: Body, headers: Headers) -> None:  # noqa: ARG002 - there are none
        if status != 200:
            self._post(self._envelopes.error(bytes(body)), bare=False)
        else:
            self._post_value(bytes(body), self._envelopes.result)

    async def open_stream(self, media_type: str, headers: Headers) -> None:
        pass

    async def send_chunk(self, data: Body) -> None:
        if len(data):
            self._post_value(bytes(data), self._envelopes.item)
            await self._socket.room()

    async def close_stream(self, *, broken: bool) -> None:  # noqa: ARG002 - `report` says it, and why
        envelopes, report = self._envelopes, self.report
        self._post(envelopes.end() if report is None else envelopes.error(report.body), bare=False)

    def lose(self) -> None:
        self._socket.fail()

    def _post_value(self, data: bytes, wrap: Any) -> None:
        if self._writer.bare:
            self._post(data, bare=True)
        else:
            self._post(wrap(data), bare=False)

    def _post(self, data: bytes, *, bare: bool) -> None:
        self._socket.post(data, text=self._envelopes.text and not bare)
