"""The header of a request for inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...http.head import Head
from ...http.inflate import inflate

if TYPE_CHECKING:
    from ...http.dialect import Asked
    from ...http.head import RawHeaders
    from ...http.routes import Route
    from ...schema.kind import Buffer
    from .infer import Infer


class InferHead(Head):
    """Where the JSON ends and the binary tensors begin, and how both are coded."""

    __slots__ = ("_infer", "_json_bytes")

    def __init__(
        self, infer: Infer, route: Route, method: bytes, raw_headers: RawHeaders, query: str
    ) -> None:
        self._infer = infer
        self._json_bytes: int | None = None
        super().__init__(route, method, raw_headers, query)

    def _prepare(self) -> None:
        self.decode = self._decode_infer

    def _decode_infer(self, body: Buffer) -> Asked:
        if self.coding:
            body = inflate(self.coding, body, self.route.max_body_bytes)
        return self._infer.json(body)
