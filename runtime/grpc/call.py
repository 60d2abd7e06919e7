"""One call: who asks, what its metadata say, and how it ends."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

import grpc
import msgspec

from . import status
from .prediction import GrpcPrediction

if TYPE_CHECKING:
    from ..http.head import Head, RawHeaders
    from ..http.problem import Problem
    from ..http.routes import Route
    from ..http.serving import Serving
    from .prediction import Send

_OF_THE_TRANSPORT = frozenset(
    {
        "accept",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "transfer-encoding",
    }
)
"""Fields of HTTP that say how a body travels: gRPC has its own ways for that."""
_CODINGS = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
METHOD = "GRPC"
"""In the log, where others have the method of HTTP."""


class Call:
    """
    Args:
        context: grpc.aio's.
        path: `/inference.GRPCInferenceService/ModelInfer`.
    """

    def __init__(self, serving: Serving, context: Any, path: str) -> None:
        self.serving = serving
        self.context = context
        self.path = path
        self.began = monotonic()
        self.headers: RawHeaders = [
            (name.encode("ascii"), value if isinstance(value, bytes) else value.encode("utf-8"))
            for name, value in context.invocation_metadata() or ()
            if name not in _OF_THE_TRANSPORT
        ]

    @property
    def client(self) -> str:
        """`127.0.0.1:40001`, for the log."""
        kind, _, address = str(self.context.peer()).partition(":")
        return unquote(address) if kind in ("ipv4", "ipv6") else kind

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
        left_s = self.context.time_remaining()
        if left_s is not None:
            head.timeout_s = min(head.timeout_s, max(left_s, 0.001))
        return head

    def prediction(self, head: Head, send: Send | None = None) -> GrpcPrediction:
        return GrpcPrediction(self.serving, head, self.client, send)

    def compress(self) -> None:
        """Writes what follows as small as the caller asks: `accept-encoding: gzip`."""
        wanted = self.field(b"accept-encoding")
        if wanted is not None:
            coding = _CODINGS.get(wanted.partition(b",")[0].strip().decode("latin-1"))
            if coding is not None:
                self.context.set_compression(coding)

    async def predict(self, head: Head, request: bytes) -> bytes:
        """Runs it and gives its message; ends the call when it fails."""
        prediction = self.prediction(head)
        outcome = await prediction.reply(request)
        named: status.Metadata = (("x-request-id", prediction.context.id),)
        if not isinstance(outcome, bytes):
            await self.fail(outcome, named)
        if prediction.headers:
            await self.context.send_initial_metadata(status.metadata(prediction.headers))
        self.context.set_trailing_metadata(named)
        return outcome

    async def stream(self, head: Head, request: bytes, wrap: Any) -> None:
        """Runs it and sends its items.

        Args:
            wrap: item, encoded → message.
        """
        opened = False

        async def send(data: bytes) -> None:
            nonlocal opened
            if not opened:
                opened = True
                if prediction.headers:
                    await self.context.send_initial_metadata(status.metadata(prediction.headers))
            await self.context.write(wrap(data))

        prediction = self.prediction(head, send)
        outcome = await prediction.reply(request)
        named: status.Metadata = (("x-request-id", prediction.context.id),)
        if not isinstance(outcome, bytes):
            await self.fail(outcome, named)
        self.context.set_trailing_metadata(named)

    async def refuse(self, error: Exception) -> NoReturn:
        """Ends a call that never became a prediction: counts and logs it."""
        report, request_id = self.serving.refuse(error, self.client, monotonic() - self.began)
        await self.fail(report, (("x-request-id", request_id),))

    async def fail(self, report: Problem, named: status.Metadata = ()) -> NoReturn:
        """Ends it with a status."""
        metadata = (*status.trailing(report), *named)
        await self.context.abort(status.code_of(report.status), status.details(text_of(report)), metadata)
        raise asyncio.CancelledError  # abort has raised already


def text_of(report: Problem) -> str:
    """The message of a problem, and where in the request it is."""
    document = msgspec.json.decode(report.body)
    path = document.get("path")
    return f"{document['detail']} at {path}" if path else str(document["detail"])
