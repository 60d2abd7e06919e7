"""Tensors whose elements are written out in messages of the Open Inference Protocol."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import InvalidInputError
from ..protocols import byte_strings
from ..protocols.datatypes import BYTES, DATATYPES, DTYPES

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
"""Where the elements of a datatype are; 16-bit floats have no such field."""
_WIDER = {"int_contents": np.dtype("<i4"), "uint_contents": np.dtype("<u4")}
"""Fields that several datatypes share."""


def elements(contents: Any, datatype: str, shape: tuple[int, ...], path: str) -> np.ndarray[Any, Any]:
    """The array of one input.

    Args:
        contents: InferTensorContents.
        datatype: one of `DATATYPES`.
        path: of the input, for errors.

    Raises:
        InvalidInputError: the wrong field is used, the number of elements is not that of the shape, or one
            does not fit the datatype.
    """
    field = _FIELDS.get(datatype)
    if field is None:
        raise InvalidInputError(f"{datatype} has no field in contents: send raw_input_contents", path=path)
    for other, _ in contents.ListFields():
        if other.name != field:
            raise InvalidInputError(f"{datatype} belongs in {field}", path=f"{path}.contents.{other.name}")
    values = getattr(contents, field)
    if len(values) != math.prod(shape):
        raise InvalidInputError(
            f"shape {list(shape)} needs {math.prod(shape)} elements, got {len(values)}",
            path=f"{path}.contents.{field}",
        )
    if datatype == BYTES:
        return byte_strings.as_array(values, shape)
    dtype = DTYPES[datatype]
    given = np.array(values, _WIDER.get(field, dtype))
    array = given.astype(dtype)
    wrong = np.flatnonzero(array != given) if field in _WIDER else np.empty(0, int)
    if wrong.size:
        at = int(wrong[0])
        raise InvalidInputError(f"{given[at]} does not fit {datatype}", path=f"{path}.contents.{field}[{at}]")
    return array.reshape(shape)


def datatype_of(given: Any, path: str) -> str:
    """Raises InvalidInputError for one that nobody knows."""
    datatype = str(given.datatype)
    if datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        raise InvalidInputError(
            f"unknown datatype {datatype[:40]!r} (datatypes: {known})", path=f"{path}.datatype"
        )
    return datatype
