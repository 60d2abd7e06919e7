"""Tensors in messages of the Open Inference Protocol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import InvalidInputError
from ..protocols import byte_strings
from ..protocols.datatypes import BYTES, DTYPES
from ..protocols.tensor import Tensor

Raw = bytes | memoryview
_FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where the elements of a datatype are when they are written out; 16-bit floats have no such field."""


def raw_tensor(given: Any, raw: Raw, path: str) -> Tensor:
    """An input whose elements are little-endian bytes; a view of them.

    Args:
        given: InferInputTensor.
        path: of the input, for errors.

    Raises:
        InvalidInputError: an unknown datatype, a negative size, or not as many bytes as the shape needs.
    """
    datatype, shape = given.datatype, _shape(given, path)
    if datatype == BYTES:
        try:
            array = byte_strings.unpack(raw, shape)
        except ValueError as error:
            raise InvalidInputError(f"input {given.name[:100]!r}: {error}", path=path) from error
        return Tensor(given.name, datatype, shape, array)
    dtype = _dtype(given, path)
    needed = math.prod(shape) * dtype.itemsize
    if len(raw) != needed:
        raise InvalidInputError(
            f"input {given.name[:100]!r} of {datatype} {list(shape)} has {needed} bytes, got {len(raw)}",
            path=path,
        )
    return Tensor(given.name, datatype, shape, np.frombuffer(raw, dtype).reshape(shape))


def typed_tensor(given: Any, path: str) -> Tensor:
    """An input whose elements are written out in the field that fits its datatype.

    Raises:
        InvalidInputError: another field is used, the number of elements is not that of the shape, or one
            does not fit the datatype.
    """
    datatype, shape, contents = given.datatype, _shape(given, path), given.contents
    field = _FIELDS.get(datatype)
    if field is None:
        _dtype(given, path)  # it may be unknown
        raise InvalidInputError(f"{datatype} has no field in contents: send raw_input_contents", path=path)
    others = [name.name for name, _ in contents.ListFields() if name.name != field]
    if others:
        raise InvalidInputError(f"{datatype} belongs in {field}, not {others[0]}", path=f"{path}.contents")
    values = getattr(contents, field)
    if len(values) != math.prod(shape):
        raise InvalidInputError(
            f"shape {list(shape)} has {math.prod(shape)} elements, {field} has {len(values)}", path=path
        )
    if datatype == BYTES:
        return Tensor(given.name, datatype, shape, byte_strings.as_array(values, shape))
    dtype = DTYPES[datatype]
    wide = np.array(values, np.dtype(_WIDE.get(field, dtype)))
    array = wide.astype(dtype)
    if field in _WIDE and not np.array_equal(array, wide):
        wrong = int(np.flatnonzero(array != wide)[0])
        raise InvalidInputError(
            f"{wide[wrong]} does not fit {datatype}", path=f"{path}.contents.{field}[{wrong}]"
        )
    return Tensor(given.name, datatype, shape, array.reshape(shape))


_WIDE = {"int_contents": "<i4", "uint_contents": "<u4"}


def raw_of(tensor: Tensor) -> Raw:
    """The elements of an output as little-endian bytes; a view where that is possible."""
    if tensor.datatype == BYTES:
        return byte_strings.pack(tensor.array)
    return np.ascontiguousarray(tensor.array).reshape(-1).view(np.uint8).data


def _shape(given: Any, path: str) -> tuple[int, ...]:
    shape: Sequence[int] = tuple(given.shape)
    if any(size < 0 for size in shape):
        raise InvalidInputError(f"shape {list(shape)} has a negative size", path=f"{path}.shape")
    return tuple(shape)


def _dtype(given: Any, path: str) -> np.dtype[Any]:
    dtype = DTYPES.get(given.datatype)
    if dtype is None:
        known = ", ".join((*DTYPES, BYTES))
        raise InvalidInputError(
            f"unknown datatype {given.datatype[:40]!r} (datatypes: {known})", path=f"{path}.datatype"
        )
    return dtype
