"""Tensors as raw bytes: little-endian, row by row; the binary extension over HTTP, and all of gRPC."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....errors import InvalidInputError
from ...schema import npy
from ...schema.kind import Buffer
from .. import byte_strings
from ..datatypes import BYTES, DTYPES
from ..tensor import Tensor, check_extent

_SMALL_BYTES = 64 * 1024


def array_of(
    data: Buffer, datatype: str, shape: tuple[int, ...], path: str, *, start: int = 0, size: int | None = None
) -> np.ndarray[Any, Any]:
    """The array in some bytes: a view of `data` where that is writable and lies well, else a copy.

    Args:
        data: of the whole request.
        datatype: one of `DATATYPES`.
        path: of the input, for errors.
        start: first byte of the tensor.
        size: its bytes; None: all from `start` on.

    Raises:
        InvalidInputError: not as many bytes as the shape needs, a BOOL that is neither 0 nor 1, or BYTES that
            are cut short.
    """
    given = len(data) - start if size is None else size
    if datatype == BYTES:
        try:
            return byte_strings.unpack(memoryview(data)[start : start + given], shape)
        except ValueError as error:
            raise InvalidInputError(f"BYTES: {error}", path=path) from error
    dtype = DTYPES[datatype]
    expected = math.prod(shape) * dtype.itemsize
    if given != expected:
        raise InvalidInputError(
            f"shape {list(shape)} of {datatype} needs {expected} bytes, got {given}", path=path
        )
    if not expected:
        check_extent(shape, path)
        return np.empty(shape, dtype)
    array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, data, start)
    if datatype == "BOOL" and int(array.view(np.uint8).max()) > 1:
        raise InvalidInputError("a BOOL element is neither 0 nor 1", path=path)
    flags = array.flags
    return array if flags.writeable and flags.aligned else array.copy()


def octets(tensor: Tensor) -> bytes | memoryview:
    """The bytes of a tensor; of a large one a view of its array."""
    if tensor.datatype == BYTES:
        return byte_strings.pack(tensor.array)
    array = tensor.array
    return array.tobytes() if array.nbytes < _SMALL_BYTES else npy.octets(array)
