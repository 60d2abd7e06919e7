"""One WebSocket connection to one api: its calls, their order, and what bounds them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...errors import InvalidInputError, RequestError, UnauthorizedError, UnavailableError
from ..auth.tokens import PREDICT
from .intake import Intake
from .websocket_messages import Envelopes, Form, Id, Said, names, read
from .websocket_prediction import WebSocketPrediction

if TYPE_CHECKING:
    from .app import Receive, Send
    from .head import Head
    from .serving import Serving

CALLS = 64
"""Calls of one connection that run or wait; who sends more waits."""
OUTGOING = 16
"""Messages that wait for the caller to read; an api that yields more waits."""

GOING_AWAY = 1001
POLICY_VIOLATION = 1008


class Socket:
    """An accepted connection.

    Args:
        heads: header of the connection for each form of message.
        authorization: what the caller showed.
    """

    def __init__(
        self,
        serving: Serving,
        heads: dict[Form, Head],
        *,
        client: str,
        authorization: bytes | None,
        send: Send,
    ) -> None:
        self._serving = serving
        self._route = heads[Form.JSON].route
        self._heads = heads
        self._client = client
        self._authorization = authorization
        self._send = send
        self._calls: set[WebSocketPrediction] = set()
        """That run or wait."""
        self._in_turn: deque[WebSocketPrediction] = deque()
        """Those without an id: one after the other; the first one runs."""
        self._open: dict[Id | None, Intake] = {}
        """Input streams that have not ended, also after the answer of their call."""
        self._out: deque[dict[str, Any]] = deque()
        self._posted = asyncio.Event()
        self._written = asyncio.Event()
        self._over = asyncio.Event()
        """A call is."""
        self._leaving = False
        self._lost = False

    async def serve(self, receive: Receive) -> None:
        """Until either side closes."""
        writer = asyncio.create_task(self._write())
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                text = message.get("text")
                await self._take(
                    text.encode() if text is not None else message["bytes"], text=text is not None
                )
        finally:
            self.lost()
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    def lost(self) -> None:
        """The caller is gone: its calls are not wanted any more, and nobody waits for it."""
        self._lost = True
        for call in list(self._calls):
            call.cancel()
        self._written.set()
        self._over.set()

    def leave(self) -> None:
        """The server stops: what runs is finished, then the connection closes."""
        self._leaving = True
        if not self._calls:
            self._close(GOING_AWAY, "the server is stopping")

    # In

    async def _take(self, data: bytes, *, text: bool) -> None:
        said: Said | None = None
        try:
            stream_open = self._open.get(None)
            if stream_open is not None and not text and stream_open.stream.is_bytes:
                await stream_open.take(data, text=False)
                return
            said = read(data, text=text)
            if said.cancel:
                self._cancel(said.id)
                await self.room()
            elif said.end or said.item is not None:
                await self._more(said)
            elif stream_open is not None and said.id is None:
                await stream_open.take(data, text=text)
            else:
                await self._call(said)
        except RequestError as error:
            self._refuse(error, Form.of(data, text=text), None if said is None else said.id)
            await self.room()

    async def _call(self, said: Said) -> None:
        await self.room()
        while len(self._calls) >= CALLS and not self._lost:
            self._over.clear()
            await self._over.wait()
        if self._lost:
            return
        if said.id is not None and (said.id in self._open or any(call.id == said.id for call in self._calls)):
            raise InvalidInputError("a call with this id is not over yet", path="$.$id")
        intake = self._intake(said)
        if intake is not None and len(self._open) >= CALLS:
            raise InvalidInputError(f"{CALLS} input streams have not ended: send $end for each", path="$.$id")
        call = WebSocketPrediction(
            self._serving, self._heads[said.form], self._client, self, said=said, intake=intake
        )
        call.admit()
        call.feed(said.body)
        self._check(call)
        self._calls.add(call)
        if intake is not None:
            self._open[said.id] = intake
        if said.id is None:
            self._in_turn.append(call)
            if len(self._in_turn) > 1:
                return
        self._launch(call)

    def _intake(self, said: Said) -> Intake | None:
        """None: the call brings all its parameters at once, as over HTTP."""
        stream = self._route.input_stream
        if stream is None or said.form is Form.NPY or names(said, stream.name):
            return None
        return Intake(stream, self._route, self._serving.threads)

    def _check(self, call: WebSocketPrediction) -> None:
        """What may have changed since the connection was accepted."""
        guard = self._serving.guard
        if self._leaving:
            call.error = UnavailableError("the server is stopping: connect again")
        elif guard is not None:
            try:
                guard.check(self._authorization, PREDICT)
            except RequestError as error:
                call.error = error

    def _launch(self, call: WebSocketPrediction) -> None:
        call.launch(monotonic(), asyncio.get_running_loop())

    async def _more(self, said: Said) -> None:
        """An item with an id, or the end of a stream. Words for a stream that is over are passed over."""
        intake = self._open.get(said.id)
        if intake is None:
            return
        if said.item is not None:
            await intake.take(said.item, text=said.form is Form.JSON)
        if said.end:
            del self._open[said.id]
            intake.feed.end()

    def _cancel(self, id: Id | None) -> None:  # noqa: A002 - as the message calls it
        self._open.pop(id, None)
        for call in list(self._in_turn)[:1] if id is None else [c for c in self._calls if c.id == id]:
            envelopes = Envelopes(call.form, call.id)
            call.cancel()
            self.post(envelopes.cancelled(), text=envelopes.text)

    # Out

    def settled(self, call: WebSocketPrediction) -> None:
        """Its answer follows, or nobody wants it."""
        asyncio.get_running_loop().call_soon(self._next, call)

    def _next(self, call: WebSocketPrediction) -> None:
        self._calls.discard(call)
        self._over.set()
        if self._in_turn and self._in_turn[0] is call:
            self._in_turn.popleft()
            if self._in_turn:
                self._launch(self._in_turn[0])
        if isinstance(call.error, UnauthorizedError):
            self._close(POLICY_VIOLATION, "the token does not hold any more")
        elif self._leaving and not self._calls:
            self._close(GOING_AWAY, "the server is stopping")

    def _refuse(self, error: RequestError, form: Form, id: Id | None) -> None:  # noqa: A002
        """A message that is no call."""
        report, _ = self._serving.refuse(error, self._client, 0.0)
        envelopes = Envelopes(form, id)
        self.post(envelopes.error(report.body), text=envelopes.text)

    def post(self, data: bytes, *, text: bool) -> None:
        """One message, after those before it."""
        message: dict[str, Any] = {"type": "websocket.send"}
        message.update({"text": data.decode()} if text else {"bytes": data})
        self._out.append(message)
        self._posted.set()

    async def room(self) -> None:
        """Waits until the caller has read enough of what was posted."""
        while len(self._out) >= OUTGOING and not self._lost:
            self._written.clear()
            await self._written.wait()
        await asyncio.sleep(0)  # a generator that never waits must not keep the others from running

    def fail(self) -> None:
        """Closes the connection: an answer could not be sent."""
        self._close(1011, "an answer could not be sent")

    def _close(self, code: int, reason: str) -> None:
        self._out.append({"type": "websocket.close", "code": code, "reason": reason})
        self._posted.set()

    async def _write(self) -> None:
        while True:
            while not self._out:
                self._posted.clear()
                await self._posted.wait()
            try:
                await self._send(self._out.popleft())
            except (OSError, RuntimeError):  # it is closed by now: uvicorn says so in either way
                self.lost()
                return
            self._written.set()
