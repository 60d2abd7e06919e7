"""The JSON of a request for inference, or the JSON in front of its binary tensors."""

from __future__ import annotations

from typing import Any

import msgspec

from ....errors import RequestError
from ...schema.explain import explain


class AskedInput(msgspec.Struct, gc=False):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] | None = None
    data: msgspec.Raw = msgspec.Raw()


class AskedOutput(msgspec.Struct, gc=False):
    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct, gc=False):
    """Names that are not here are passed over, as every server of this protocol does."""

    inputs: list[AskedInput]
    id: str = ""
    parameters: dict[str, Any] | None = None
    outputs: list[AskedOutput] | None = None


_decode = msgspec.json.Decoder(InferRequest).decode


def read(text: bytes | bytearray | memoryview) -> InferRequest:
    """Raises MalformedInputError or InvalidInputError with the path."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused(error) from error


def refused(error: Exception) -> RequestError:
    return explain(error, ())
