"""One call: who asks, what its metadata say, and how it ends."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from . import status
from .prediction import GrpcPrediction

if TYPE_CHECKING:
    from ..http.head import Head, RawHeaders
    from ..http.routes import Route
    from ..http.serving import Serving
    from .context import Context
    from .prediction import Send
    from .status import CallEndedError

METHOD = "GRPC"
"""In the log, where others have the method of HTTP."""


class Call:
    """Made when it begins."""

    def __init__(self, serving: Serving, context: Context) -> None:
        self.serving = serving
        self.context = context
        self.began = monotonic()
        self.headers: RawHeaders = context.headers

    def check(self, scope: str) -> None:
        """Raises UnauthorizedError or ForbiddenError unless the caller may do this."""
        guard = self.serving.guard
        if guard is not None:
            guard.check(self.field(b"authorization"), scope)

    def field(self, name: bytes) -> bytes | None:
        """The last value of a metadatum; None: there is none."""
        return next((value for known, value in reversed(self.headers) if known == name), None)

    def head(self, route: Route) -> Head:
        """What the metadata say of a prediction; nobody waits longer than gRPC's own deadline."""
        head = route.dialect.head(route, b"POST", self.headers, "")
        head.method_text = METHOD
        left_s = self.context.left_s()
        if left_s is not None:
            head.timeout_s = min(head.timeout_s, max(left_s, 0.001))
        return head

    def prediction(self, head: Head, send: Send | None = None) -> GrpcPrediction:
        return GrpcPrediction(self.serving, head, self.context.client, send)

    async def predict(self, head: Head, request: bytes) -> bytes:
        """Runs it and gives its message. Raises CallEndedError when it fails."""
        prediction = self.prediction(head)
        outcome = await prediction.reply(request)
        request_id = prediction.context.id
        if not isinstance(outcome, bytes):
            raise status.ended(outcome, request_id)
        if prediction.headers:
            await self.context.begin(status.metadata(prediction.headers))
        self.context.trail((("x-request-id", request_id),))
        return outcome

    async def stream(self, head: Head, request: bytes) -> None:
        """Runs it and sends its items, which are messages. Raises CallEndedError when it fails."""
        begun = False

        async def send(data: bytes) -> None:
            nonlocal begun
            if not begun:
                begun = True
                if prediction.headers:
                    await self.context.begin(status.metadata(prediction.headers))
            await self.context.write(data)

        prediction = self.prediction(head, send)
        outcome = await prediction.reply(request)
        request_id = prediction.context.id
        if not isinstance(outcome, bytes):
            raise status.ended(outcome, request_id)
        self.context.trail((("x-request-id", request_id),))

    def refused(self, error: Exception) -> CallEndedError:
        """The end of a call that never became a prediction; it is counted and logged."""
        report, request_id = self.serving.refuse(error, self.context.client, monotonic() - self.began)
        return status.ended(report, request_id)
