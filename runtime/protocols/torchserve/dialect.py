"""How TorchServe words its requests, answers and errors."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ...http.dialect import Asked, Dialect, Written
from ...http.head import Head
from ...http.inflate import inflate
from ...schema import media
from ...schema.file import OCTETS
from ..instances_dialect import written
from ..predictions import predictions
from .errors import error_body
from .request import Reader

if TYPE_CHECKING:
    from ...http.head import RawHeaders
    from ...http.problem import Problem
    from ...http.routes import Route
    from ...schema.kind import Buffer
    from ...schema.outputs import Encoder
    from ..json_calls import JsonCalls, Results

LINES = "application/x-ndjson"


class TorchServeDialect(Dialect):
    """Of one endpoint."""

    problem_type = media.JSON

    def __init__(self, calls: JsonCalls) -> None:
        self.calls = calls
        self.stream_type = LINES
        if calls.endpoint.stream and OCTETS in calls.output.media_types:
            self.stream_type = OCTETS

    @cached_property
    def reader(self) -> Reader:
        return Reader(self.calls)

    def head(self, route: Route, method: bytes, raw_headers: RawHeaders, query: str) -> Head:
        head = _TorchServeHead(self, route, b"POST" if method == b"PUT" else method, raw_headers, query)
        if method == b"PUT":
            head.method_text = "PUT"
            head.metrics = route.metrics_of[method]
        return head

    def problem(self, error: BaseException, *, instance: str, request_id: str) -> Problem:
        return error_body(error, instance=instance, request_id=request_id)


class _TorchServeHead(Head):
    __slots__ = ("_answer", "_dialect", "_kind")

    def __init__(self, dialect: TorchServeDialect, *args: Any) -> None:
        self._dialect = dialect
        super().__init__(*args)

    def _prepare(self) -> None:
        self._kind = self.fields.get(b"content-type", b"").decode("latin-1")
        self._answer = self._encoder(self.fields.get(b"accept", b"").decode("latin-1").strip())
        self.decode = self._read

    def _encoder(self, accept: str) -> Encoder:
        """Text as it is, unless JSON is asked for: handlers send what they return."""
        output = self._dialect.calls.output
        if self.route.stream:
            return output.encoder_of(OCTETS if self._dialect.stream_type == OCTETS else media.JSON)
        if accept in ("", "*/*") and media.TEXT in output.media_types:
            return output.encoder(media.TEXT)
        return output.encoder(accept)

    def _read(self, body: Buffer) -> Asked:
        if self.coding:
            body = inflate(self.coding, body, self.route.max_body_bytes)
        data, calls, reader = bytes(body), self._dialect.calls, self._dialect.reader
        if self.route.stream:
            return Asked(reader.arguments(self._kind, data, self.query), self._item)
        rows = reader.rows(self._kind, data)
        if rows is not None:
            return Asked({"calls": calls.decode(rows, self.query)}, partial(predictions, calls, data))
        return Asked({"calls": [reader.arguments(self._kind, data, self.query)]}, self._whole)

    def _whole(self, results: Results) -> Written:
        return written(self._dialect.calls, self._answer, results)

    def _item(self, value: Any) -> Written:
        body = self._answer(value)
        if self._dialect.stream_type == LINES:
            body = bytes(body) + b"\n"
        return Written(self._dialect.stream_type, body)
