"""A prediction that came over gRPC: one message in, one or many out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...errors import InferenceError
from ..http.prediction import Prediction

if TYPE_CHECKING:
    from ..http.exchange import Headers
    from ..http.head import Head
    from ..http.problem import Problem
    from ..http.serving import Serving

Send = Callable[[bytes], Awaitable[None]]


class GrpcPrediction(Prediction):
    """Made for one request message; `reply` runs it.

    Args:
        send: takes the items of a stream, encoded, and waits until the caller keeps up; None where there is
            no stream.
    """

    headers: Headers = ()
    """What the api adds to its answer; known when the reply or the first item is."""

    def __init__(self, serving: Serving, head: Head, client: str, send: Send | None = None) -> None:
        super().__init__(serving, head, client)
        self._loop = asyncio.get_running_loop()
        self._outcome: asyncio.Future[bytes | Problem] = self._loop.create_future()
        self._send = send
        self._report: Problem | None = None

    async def reply(self, request: bytes) -> bytes | Problem:
        """The message of the answer, empty after a stream; or what went wrong.

        Whoever cancels it cancels the work.
        """
        self.admit()
        self.feed(request)
        self.launch(monotonic(), self._loop)
        del request  # it may be large, and the work may be long
        try:
            return await self._outcome
        except asyncio.CancelledError:
            self.cancel()
            raise

    def answer(self, status: int, media_type: str, body: bytes | memoryview, headers: Headers) -> None:  # noqa: ARG002
        if status == 200:
            self.headers = headers
            self._settle_outcome(bytes(body))
        elif self._report is not None:
            self._settle_outcome(self._report._replace(headers=headers))

    async def open_stream(self, media_type: str, headers: Headers) -> None:  # noqa: ARG002
        self.headers = headers

    async def send_chunk(self, data: Any) -> None:
        if self._send is not None:
            await self._send(bytes(data))

    async def close_stream(self, *, broken: bool) -> None:
        if not broken:
            self._settle_outcome(b"")
        elif self._report is not None:
            self._settle_outcome(self._report)

    def lose(self) -> None:
        error = InferenceError("the answer could not be sent; the reason is in the log")
        self._settle_outcome(self._problem(error))

    def _problem(self, error: BaseException) -> Problem:
        self._report = report = super()._problem(error)
        return report

    def _settle_outcome(self, outcome: bytes | Problem) -> None:
        if not self._outcome.done():  # the caller may be gone
            self._outcome.set_result(outcome)
