"""The header of a request for inference."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ....errors import MalformedInputError
from ...http.dialect import Written
from ...http.head import Head
from ...http.inflate import inflate
from .compression import compressed, wanted_coding
from .reply import HEADER_LENGTH
from .unsupported import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...http.dialect import Asked
    from ...http.head import RawHeaders
    from ...http.routes import Route
    from ...schema.kind import Buffer
    from .infer import Infer

_ALIGNMENT = 64


class InferHead(Head):
    """Where the JSON ends and the binary tensors begin, and how both are coded."""

    __slots__ = ("_answer_coding", "_infer", "_json_bytes")

    def __init__(
        self, infer: Infer, route: Route, method: bytes, raw_headers: RawHeaders, query: str
    ) -> None:
        self._infer = infer
        self._json_bytes: int | None = None
        super().__init__(route, method, raw_headers, query)

    def _prepare(self) -> None:
        infer = self._infer
        if self.route.stream:
            path = self.route.path.removesuffix("infer")
            raise UnsupportedError(
                f"model {self.route.name!r} answers with a stream, which infer cannot send: ask at "
                f"{path}generate_stream, or over gRPC with ModelStreamInfer"
            )
        self.decode = infer.json
        if (length := self.fields.get(HEADER_LENGTH)) is not None:
            if not length.isdigit() or len(length) > 18:
                shown = length[:40].decode("latin-1")
                raise MalformedInputError(
                    f"Inference-Header-Content-Length is {shown!r}: give the bytes of the JSON"
                )
            self._json_bytes = int(length)
            self.decode = self._decode_binary
        self._answer_coding = wanted_coding(self.fields.get(b"accept-encoding", b""))
        if self.coding or self._answer_coding is not None:
            self.decode = self._decode_coded

    def _decode_binary(self, body: Buffer) -> Asked:
        length = self._json_bytes
        if length is None:
            return self._infer.json(body)
        return self._infer.binary(body, length) if length else self._infer.raw(body)

    def _decode_coded(self, body: Buffer) -> Asked:
        if self.coding:
            body = inflate(self.coding, body, self.route.max_body_bytes)
        asked = self._decode_binary(body)
        if self._answer_coding is not None:
            asked.write = partial(self._write_coded, asked.write)
        return asked

    def _write_coded(self, write: Callable[[Any], Written], value: Any) -> Written:
        written = write(value)
        coding = self._answer_coding
        return written if coding is None else compressed(written, coding)

    def join(self, parts: list[bytes]) -> Buffer:
        """A body that arrays can be views of: writable, its binary part aligned."""
        front = -(self._json_bytes or 0) % _ALIGNMENT
        whole = bytearray().join((bytes(front), *parts))
        return memoryview(whole)[front:]
