"""`data` in JSON: numbers, booleans or texts, flat or nested row by row."""

from __future__ import annotations

import importlib.util
import math
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from ....errors import InvalidInputError
from ...schema import nested
from ...schema.array import ArrayKind
from ...schema.dims import MAX_AXES, Dims
from ...schema.dtypes import Dtypes
from ...schema.explain import explain
from ...schema.numbers import SMALLEST_BYTES, ArrayReader
from ...schema.pieces import lists_in
from ...schema.wrong import WrongValueError
from .. import byte_strings
from ..datatypes import BYTES, DTYPES

_SPACE = b" \t\r\n"
_AGAIN = (b"[", b" ", b"\t", b"\r", b"\n")
"""The depth is not clear from the first characters."""
_FRONT_BYTES = 4096
_CONSTANTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_UNUSUAL = (ValueError, TypeError, RuntimeError, MemoryError)


def elements(
    data: bytes | msgspec.Raw, datatype: str, shape: tuple[int, ...], path: str
) -> np.ndarray[Any, Any]:
    """The array of one input: flat or nested, its elements are as many as its shape says.

    Args:
        data: JSON, whole.
        datatype: any but FP16 and BF16.
        path: of the input.

    Raises:
        RequestError: no lists of such elements, out of range, or too few or many; with the path.
    """
    text = data if type(data) is bytes else bytes(data)
    try:
        array = _reader(datatype, _depth(text)).read(text)
    except WrongValueError as error:
        raise error.under(f"{path}.data") from error
    if array.shape == shape:
        return array
    if array.size != math.prod(shape):
        raise InvalidInputError(
            f"shape {list(shape)} has {math.prod(shape)} elements, data has {array.size}", path=f"{path}.data"
        )
    return array.reshape(shape)


def _depth(text: bytes) -> int:
    """Lists in each other at the front."""
    if text.startswith(b"[[") and text[2:3] not in _AGAIN:
        return 2
    if text.startswith(b"[") and text[1:2] not in _AGAIN:
        return 1
    front = text[:_FRONT_BYTES].translate(None, _SPACE)
    depth = len(front) - len(front.lstrip(b"["))
    if not 1 <= depth <= MAX_AXES:
        raise WrongValueError("expected a list of elements, flat or nested")
    return depth


class DataReader:
    """Reads lists of one datatype that lie in each other to one depth."""

    def __init__(self, datatype: str, depth: int) -> None:
        self._datatype = datatype
        self._depth = depth
        self._texts = datatype == BYTES
        self._dtypes = Dtypes(None if self._texts else (DTYPES[datatype].name,), datatype)
        element = str if self._texts else self._dtypes.element
        self._decoder = msgspec.json.Decoder(nested.list_type(element, depth))
        self._decode = self._decoder.decode
        self._large = None if self._texts else _large_reader(self._dtypes, depth)

    def read(self, text: bytes) -> np.ndarray[Any, Any]:
        """The array, in the shape it is nested in.

        Raises:
            WrongValueError: it is none, or an element does not fit.
        """
        if len(text) >= SMALLEST_BYTES and self._large is not None:
            array = _read_large(text, self._large)
            if array is not None:
                return array
        try:
            values = self._decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._with_constants(text, error)
        if self._texts:
            return self._bytes(values)
        return nested.to_array(values, self._dtypes, self._depth)

    def _bytes(self, values: list[Any]) -> np.ndarray[Any, Any]:
        shape = []
        level = values
        for _ in range(self._depth - 1):
            lengths = set(map(len, level))
            if len(lengths) != 1:
                raise WrongValueError("every row must have the same length")
            shape.append(len(level))
            level = [item for items in level for item in items]
        width = len(level) // math.prod(shape) if level else 0
        try:
            octets = [text.encode() for text in level]
        except UnicodeEncodeError as error:
            raise WrongValueError(f"a text holds what UTF-8 has not: {error.reason}") from error
        return byte_strings.as_array(octets, (*shape, width))

    def _with_constants(self, text: bytes, error: Exception) -> np.ndarray[Any, Any]:
        """NaN and Infinity, which stand in quotes here (see `request`)."""
        if self._datatype in ("FP32", "FP64") and (b'"NaN"' in text or b'Infinity"' in text):
            decoder = msgspec.json.Decoder(nested.list_type(float | str, self._depth))
            try:
                values = decoder.decode(text)
                dtype = DTYPES[self._datatype]
                with np.errstate(over="raise"):
                    return np.array(_numbers(values), dtype)
            except (msgspec.DecodeError, KeyError, ValueError, FloatingPointError):
                pass
        refused = explain(error, (), hint=self._decoder.type)
        raise WrongValueError(refused.message, refused.path[1:]) from error


def _read_large(text: bytes, reader: ArrayReader) -> np.ndarray[Any, Any] | None:
    """By simdjson, where the text is of the usual form; a parser of its own, since threads read too."""
    import simdjson

    try:
        array, lists = reader.read(simdjson.Parser().parse(text))
    except _UNUSUAL:
        return None
    return array if lists == lists_in(text) else None


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return _CONSTANTS[value] if isinstance(value, str) else value


def _large_reader(dtypes: Dtypes, depth: int) -> ArrayReader | None:
    if importlib.util.find_spec("simdjson") is None:
        return None
    axes = " ".join(f"a{axis}" for axis in range(depth))
    return ArrayReader.of(ArrayKind(dtypes, Dims.parse(axes)))


_reader = lru_cache(maxsize=256)(DataReader)
