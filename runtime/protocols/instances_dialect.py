"""The server's own words on a route where a body may also be `{"instances": […]}`."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from ..http.dialect import Asked, Dialect, Written
from ..http.head import Head
from ..http.inflate import inflate
from ..schema import media
from .predictions import predictions

if TYPE_CHECKING:
    from ..http.head import RawHeaders
    from ..http.routes import Route
    from ..schema.kind import Buffer
    from .json_calls import JsonCalls, Results


def with_instances(route: Route, calls: JsonCalls) -> Route:
    """An api's own route that takes such bodies besides those of the api; counted as the api."""
    made = copy.copy(route)
    made.dialect = _InstancesDialect(calls)
    made.input_stream = None
    if not route.stream:
        made.call, made.is_async = calls, True
    return made


class _InstancesDialect(Dialect):
    def __init__(self, calls: JsonCalls) -> None:
        self.calls = calls

    def head(self, route: Route, method: bytes, raw_headers: RawHeaders, query: str) -> Head:
        return _InstancesHead(self.calls, route, method, raw_headers, query)


class _InstancesHead(Head):
    __slots__ = ("_calls", "_native")

    def __init__(self, calls: JsonCalls, *args: Any) -> None:
        self._calls = calls
        super().__init__(*args)

    def _prepare(self) -> None:
        super()._prepare()
        self._native = self.decode
        self.decode = self._read

    def _read(self, body: Buffer) -> Asked | dict[str, Any]:
        calls = self._calls
        if calls.instances.applies and media.content_type(self.media_type)[0] in ("", media.JSON):
            data = bytes(body) if not self.coding else inflate(self.coding, body, self.route.max_body_bytes)
            rows = calls.instances.read(data)
            if rows is not None:
                return Asked({"calls": calls.decode(rows, self.query)}, partial(predictions, calls, data))
        arguments: dict[str, Any] = self._native(body)
        return arguments if self.route.stream else Asked({"calls": [arguments]}, self._whole)

    def _whole(self, results: Results) -> Written:
        return written(self._calls, self.encoder, results)


def written(calls: JsonCalls, encoder: Any, results: Results) -> Written:
    """The only result, as its encoder writes it."""
    (value,) = results
    if not encoder.varies:
        return Written(encoder.media_type, encoder(value))
    named = calls.output.extra_headers(value).items()
    headers = tuple((name.encode("ascii"), text.encode("ascii")) for name, text in named)
    return Written(encoder.media_type_of(value), encoder(value), headers)
