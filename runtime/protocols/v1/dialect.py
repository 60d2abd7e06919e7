"""How version 1 words its requests, answers and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....errors import UnsupportedMediaTypeError
from ...http.dialect import Dialect
from ...http.head import Head
from ...http.inflate import inflate
from ...schema import media
from ..errors import error_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...http.dialect import Asked
    from ...http.head import RawHeaders
    from ...http.problem import Problem
    from ...http.routes import Route
    from ...schema.kind import Buffer

_TAKEN = ("", media.JSON, media.FORM, media.TEXT)
"""Callers say all of these of their JSON: `curl -d` the third."""


class V1Dialect(Dialect):
    """Of one endpoint and one verb.

    Args:
        read: body → what is asked.
    """

    problem_type = media.JSON

    def __init__(self, read: Callable[[bytes], Asked]) -> None:
        self._read = read

    def head(self, route: Route, method: bytes, raw_headers: RawHeaders, query: str) -> Head:
        return _V1Head(self._read, route, method, raw_headers, query)

    def problem(self, error: BaseException, *, instance: str, request_id: str) -> Problem:
        return error_body(error, instance=instance, request_id=request_id)


class _V1Head(Head):
    __slots__ = ("_read",)

    def __init__(self, read: Callable[[bytes], Asked], *args: Any) -> None:
        self._read = read
        super().__init__(*args)

    def _prepare(self) -> None:
        kind = self.fields.get(b"content-type", b"").decode("latin-1")
        if media.content_type(kind)[0] not in _TAKEN:
            raise UnsupportedMediaTypeError(f"this route takes {media.JSON}, not {kind[:80]!r}")
        self.decode = self._decode_json

    def _decode_json(self, body: Buffer) -> Asked:
        if self.coding:
            body = inflate(self.coding, body, self.route.max_body_bytes)
        return self._read(bytes(body))
