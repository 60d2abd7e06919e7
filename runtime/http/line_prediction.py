"""A prediction whose items come as lines of its body while the api runs: newline-delimited JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import PayloadTooLargeError, UnsupportedMediaTypeError
from ..schema import media
from .asgi import AsgiPrediction
from .intake import Intake

if TYPE_CHECKING:
    from ..schema.input_stream import InputStream
    from .app import Receive, Scope, Send
    from .routes import Route
    from .serving import Serving


class LinePrediction(AsgiPrediction):
    """The api begins when the header is there; parameters that are no stream come in the query.

    `max_body_bytes` bounds one line, and a caller who is ahead of the api waits: the body as a whole may be
    of any length. The deadline counts from the header.
    """

    def __init__(self, serving: Serving, route: Route, stream: InputStream, scope: Scope, send: Send) -> None:
        headers = [field for field in scope["headers"] if field[0] != b"content-length"]
        super().__init__(serving, route, {**scope, "headers": headers}, send)
        self._intake = Intake(stream, route, serving.threads)
        self.head.decode = self._arguments

    def _arguments(self, _: Any) -> dict[str, Any]:
        if self.head.coding not in ("", "identity"):
            raise UnsupportedMediaTypeError("lines are not taken compressed: send them as they are")
        stream = self._intake.stream
        return {**stream.rest.decode(media.JSON, b"", self.head.query), stream.name: self._intake.feed}

    async def _read(self, receive: Receive) -> bool:  # noqa: ARG002 - `_watch` reads, beside the api
        return True

    async def _watch(self, receive: Receive) -> None:
        """Lines → items, until the caller has no more, or is gone."""
        lines = _Lines(self.head.route.max_body_bytes)
        feed = self._intake.feed
        more = True
        while more and not feed.closed:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.cancel()
                return
            more = message.get("more_body", False)
            try:
                whole = lines.feed(message.get("body", b""), last=not more)
            except PayloadTooLargeError as error:
                feed.fail(error)
                break
            for line in whole:
                await self._intake.take(line, text=True)
        feed.end()
        await super()._watch(receive)

    def _settle(self, status: int, size_bytes: int) -> None:
        super()._settle(status, size_bytes)
        self._intake.feed.close()


class _Lines:
    """Cuts pieces of a body into lines; empty ones are passed over.

    Args:
        limit_bytes: of one line.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes, *, last: bool) -> list[bytes]:
        """The lines that are complete now.

        Raises:
            PayloadTooLargeError: one is longer than the limit.
        """
        *whole, rest = data.split(b"\n")
        if whole:
            whole[0] = b"".join((*self._rest, whole[0]))
            self._rest, self._size = [], 0
        self._rest.append(rest)
        self._size += len(rest)
        if last:
            whole.append(b"".join(self._rest))
        if self._size > self._limit_bytes or any(len(line) > self._limit_bytes for line in whole):
            raise PayloadTooLargeError(
                f"a line is longer than {self._limit_bytes} bytes, the limit of this route"
            )
        return [line for line in whole if line.strip()]
