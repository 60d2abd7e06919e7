"""RPCs that ask or tell the server something: everything but predictions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from time import monotonic
from typing import TYPE_CHECKING, Any, Union

from google.protobuf.message import DecodeError

from ...errors import MalformedInputError, ServingError
from ..http import problem
from ..service.context import RequestContext
from .call import METHOD, Call
from .status import ended

if TYPE_CHECKING:
    from ..http.serving import Serving
    from .context import Context

Answer = Callable[[Any], Union[Any, Awaitable[Any]]]  # noqa: UP007 - 3.10


class Question:
    """One such RPC: counted and logged.

    Args:
        path: `/inference.GRPCInferenceService/ServerReady`.
        message: class of the request.
        answer: request → reply; raises ServingError.
    """

    def __init__(self, serving: Serving, path: str, message: Any, answer: Answer) -> None:
        self._serving = serving
        self._path = path
        self._message = message
        self._answer = answer
        self._metrics = serving.state.metrics.request(path)

    async def serve(self, data: bytes, context: Context) -> bytes:
        call = Call(self._serving, context)
        asked = RequestContext(call.headers, route=self._path)
        code, size = 500, 0
        self._metrics.begin()
        try:
            reply = await self._reply(data)
            code, size = 200, len(reply)
        except ServingError as error:
            report = problem.problem(error, instance=self._path, request_id=asked.id)
            code = report.status
            if problem.is_bug(error):
                problem.log_failure(error, route=self._path, request_id=asked.id, trace_id=asked.trace_id)
            raise ended(report, asked.id) from None
        finally:
            seconds = monotonic() - call.began
            row = (context.client, METHOD, self._path, code, size, seconds, asked.id, "")
            self._serving.ledger.note(self._metrics, row)
        context.trail((("x-request-id", asked.id),))
        return reply

    async def _reply(self, data: bytes) -> bytes:
        try:
            request = self._message.FromString(data)
        except DecodeError as error:
            raise MalformedInputError(f"the message is no {self._message.DESCRIPTOR.full_name}") from error
        reply = self._answer(request)
        if isawaitable(reply):
            reply = await reply
        return bytes(reply.SerializeToString())
