"""One request and its answer: how an answer leaves, whole or in pieces, and what is counted then."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...errors import ServingError, UnavailableError
from ..service.raised import RAISED, pass_on_close
from . import events, problem

if TYPE_CHECKING:
    from ..service.context import RequestContext
    from .head import Head
    from .serving import Serving

Headers = tuple[tuple[bytes, bytes], ...]
CLIENT_GONE = 499
"""In the log and the metrics: the caller hung up before its answer."""

_log = logging.getLogger("tiffin.http")


class Exchange(ABC):
    """A request whose answer is sent once, by whatever door it came through. The door implements the abstract
    methods; `Prediction` does the work.

    Args:
        head: the header, checked.
        client: address for the log.
    """

    # Defaults live in the class: an object that sets only what differs is made in half the time.
    counted = 0
    """Bytes of the body that `Serving.bodies` knows of."""
    error: ServingError | None = None
    answered = False
    head_sent = False
    """Of a stream, by a door where a second one would be taken for a part of it."""
    began = 0.0
    deadline = 0.0
    timeout_s = 0.0
    context: RequestContext
    task: asyncio.Task[None] | None = None
    """Runs the user's code."""

    def __init__(self, serving: Serving, head: Head, client: str) -> None:
        self.serving = serving
        self.head = head
        self.client = client

    # What the door implements

    @abstractmethod
    def answer(self, status: int, media_type: str, body: bytes | memoryview, headers: Headers) -> None:
        """Sends a whole answer."""

    @abstractmethod
    async def open_stream(self, media_type: str, headers: Headers) -> None:
        """Begins an answer of unknown length with status 200."""

    @abstractmethod
    async def send_chunk(self, data: bytes | memoryview) -> None:
        """Sends a piece and waits until the caller keeps up."""

    @abstractmethod
    async def close_stream(self, *, broken: bool) -> None:
        """Ends the answer; `broken`: so that the caller sees that it is cut short."""

    @abstractmethod
    def lose(self) -> None:
        """Ends the exchange without an answer; the caller sees that there is none."""

    # What `Prediction` implements

    @abstractmethod
    def expire(self) -> None:
        """The deadline has come: answers 504 and stops the work."""

    # The body, the answer

    def release(self) -> None:
        """The body is no longer held."""
        if self.counted:
            self.serving.bodies.give_back(self.counted)
            self.counted = 0

    async def _stream(
        self, items: AsyncIterator[Any], encoder: Callable[[Any], Any], media_type: str
    ) -> None:
        """Nothing is sent before the first item, so that an error before it still has a status of its own."""
        dialect = self.head.route.dialect
        framed = media_type == events.MEDIA_TYPE
        sent = -1
        error: BaseException | None = None
        try:
            async for item in items:
                data = encoder(item)
                if sent < 0:
                    await self.open_stream(media_type, self._headers())
                    sent = 0
                chunk = dialect.item(data) if framed else data
                await self.send_chunk(chunk)
                sent += len(chunk)
                if self.error is not None:  # the user's generator went on after its deadline
                    error = self.error
                    break
        except asyncio.CancelledError:
            error = self.error or UnavailableError("the request was cancelled inside the server")
        except RAISED as failure:
            pass_on_close(failure, self.task)
            error = failure
        if error is not None and (self.answered or sent < 0):
            self._fail(error)
        if self.answered:  # above, or the caller is gone
            return await self._close(items)
        if error is not None:
            self._log(error)
        if sent < 0:
            await self.open_stream(media_type, self._headers())
        if framed:
            await self.send_chunk(dialect.end() if error is None else dialect.broken(self._problem(error)))
        self._settle(200 if error is None else self._problem(error).status, max(sent, 0))
        await self.close_stream(broken=error is not None and not framed)
        return await self._close(items)

    async def _close(self, items: AsyncIterator[Any]) -> None:
        """Runs the `finally` blocks of the user's generator."""
        close = getattr(items, "aclose", None)
        if close is not None:
            try:
                await close()
            except asyncio.CancelledError:
                raise
            except RAISED as error:
                pass_on_close(error, self.task)
                self._log(error)

    def _headers(self) -> Headers:
        context = self.context
        headers: Headers = ()
        if self.head.traced:
            headers = ((b"traceparent", context.traceparent.encode("ascii")),)
        if context.has_response_headers:
            headers += tuple(
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in context.response_headers.items()
            )
        return headers

    def _log(self, error: BaseException) -> None:
        """Also after the answer: what the user's code raises while it is stopped, or later in a stream."""
        if problem.is_bug(error):
            problem.log_failure(
                error, route=self.head.route.path, request_id=self.context.id, trace_id=self.context.trace_id
            )

    def _problem(self, error: BaseException) -> problem.Problem:
        route = self.head.route
        return route.dialect.problem(error, instance=route.path, request_id=self.context.id)

    def _fail(self, error: BaseException) -> None:
        if not self.answered:
            report = self._problem(error)
            if self.head_sent:
                self._settle(report.status, 0)
                self.lose()
            else:
                media_type = self.head.route.dialect.problem_type
                self._finish(report.status, media_type, report.body, report.headers + self._headers())
        self._log(error)  # last, for a filter or handler of the user's may raise

    def _finish(self, status: int, media_type: str, body: bytes | memoryview, headers: Headers) -> None:
        if not self.answered:
            self._settle(status, len(body))
            try:
                self.answer(status, media_type, body, headers)
            except Exception:  # noqa: BLE001 - whatever it is, nobody may wait for ever
                _log.exception("the answer of %s could not be sent", self.head.route.path)
                self.lose()

    def _settle(self, status: int, size_bytes: int) -> None:
        """Counts and logs, once a request."""
        self.answered = True
        if self.counted:
            self.release()
        serving, head, context = self.serving, self.head, self.context
        serving.state.in_flight -= 1
        serving.deadlines.discard(self)
        serving.ledger.note(
            head.metrics,
            (
                self.client,
                head.method_text,
                head.route.path,
                status,
                size_bytes,
                monotonic() - self.began,
                context.id,
                context.trace_id if head.traced else "",
            ),
        )
