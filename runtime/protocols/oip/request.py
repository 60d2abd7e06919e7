"""The JSON of a request for inference, or the JSON in front of its binary tensors."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ....errors import MalformedInputError
from ...schema.explain import explain
from ...schema.kind import Buffer


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


def read(text: Buffer) -> InferRequest:
    """The JSON → request; `data` is looked at later, when its datatype is known.

    Raises:
        MalformedInputError: not JSON.
        InvalidInputError: a name is missing or of another type; `.path` says where.
    """
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not len(text):
            raise MalformedInputError("the body is empty; send a JSON object with `inputs`") from None
        if not isinstance(error, msgspec.ValidationError) and _may_have_nan(text):
            return _with_nan(text)
        raise explain(error, ()) from error


def _may_have_nan(text: Buffer) -> bool:
    whole = bytes(text)
    return b"NaN" in whole or b"Infinity" in whole


def _with_nan(text: Buffer) -> InferRequest:
    """JSON as Python and this protocol's servers write it: NaN and Infinity stand for themselves.

    They are put into quotes, which `json_data` knows to take off again, so that all else is read as ever.
    """
    try:
        plain = json.loads(bytes(text), parse_constant=str)
        return _decode(msgspec.json.encode(plain))
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        if isinstance(error, (msgspec.DecodeError, RecursionError)):
            raise explain(error, ()) from error
        raise MalformedInputError(f"JSON is malformed: {error}") from error
