"""`application/x-npy`: numpy's own file format, read without trust and without pickle.

The format is documented at numpy.org/doc/stable/reference/generated/numpy.lib.format.html: magic, version,
length of the header, a Python literal with `descr`, `fortran_order` and `shape`, then the elements. The
header is parsed here and not by numpy, whose reader allocates what the header claims before it looks at what
is there.
"""

from __future__ import annotations

import ast
import math
import struct
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np

from ...errors import MalformedInputError
from .dims import MAX_AXES
from .dtypes import named
from .kind import Buffer

MEDIA_TYPE = "application/x-npy"
_MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 4096
_LARGE_BYTES = 64 * 1024
_KEYS = {"descr", "fortran_order", "shape"}


def read(body: Buffer) -> np.ndarray[Any, Any]:
    """The array in `body`, in native byte order and C order, writable, of its own memory.

    Raises:
        MalformedInputError: not npy, cut short, too long, or of objects or structures.
    """
    start = _length_of_head(body)
    dtype, order, shape = _parsed_head(bytes(body[:start]))
    try:
        return elements(body, dtype, shape, order, start=start)
    except ValueError as error:
        raise MalformedInputError(f"npy: {error}") from error


def view(body: bytearray) -> np.ndarray[Any, Any]:
    """The array in `body`, without a copy where its elements can lie there: it keeps `body` alive.

    Raises:
        MalformedInputError: as `read`.
    """
    start = _length_of_head(body)
    dtype, order, shape = _parsed_head(bytes(body[:start]))
    if order != "C" or not dtype.isnative or dtype.kind not in "iuf" or not math.prod(shape):
        return read(body)
    if len(body) - start != math.prod(shape) * dtype.itemsize:
        return read(body)  # which says what is wrong
    array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, body, start)
    return array


def _length_of_head(body: Buffer) -> int:
    """Bytes in front of the elements: magic, version, length and header; all of them are there."""
    if len(body) < 10 or body[:6] != _MAGIC:
        raise MalformedInputError("the body is not an npy file: it does not start with its magic string")
    major = body[6]
    if major not in (1, 2):
        raise MalformedInputError(f"npy format version {major} is not supported, use 1 or 2")
    start = 10 if major == 1 else 12
    if len(body) < start:
        raise MalformedInputError("the npy file ends inside its header")
    size = struct.unpack_from("<H" if major == 1 else "<I", body, 8)[0]
    if size > _MAX_HEADER_BYTES:
        raise MalformedInputError(
            f"the npy header is {size} bytes long, at most {_MAX_HEADER_BYTES} are allowed"
        )
    if len(body) < start + size:
        raise MalformedInputError("the npy file ends inside its header")
    return start + int(size)


@lru_cache(maxsize=256)
def _parsed_head(head: bytes) -> tuple[np.dtype[Any], str, tuple[int, ...]]:
    """dtype, order and shape: what callers send varies in the number of rows at most."""
    dtype, fortran, shape = _header(head[10 if head[6] == 1 else 12 :])
    return dtype, "F" if fortran else "C", shape


def _header(text: bytes) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    try:
        header = ast.literal_eval(text.decode("latin-1").strip())
    # literal_eval gives up on hostile text in all of these ways.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise MalformedInputError("the npy header is not a Python literal") from error
    if not isinstance(header, dict) or set(header) != _KEYS:
        raise MalformedInputError("the npy header must have exactly descr, fortran_order and shape")
    descr, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    if not isinstance(descr, str) or not isinstance(fortran, bool):
        raise MalformedInputError("the npy file must hold plain elements, not structures or objects")
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise MalformedInputError("the npy header has a shape that is no tuple of sizes")
    if len(shape) > MAX_AXES:
        raise MalformedInputError(f"the npy array has {len(shape)} axes, at most {MAX_AXES} are allowed")
    try:
        return named(descr), fortran, shape
    except ValueError as error:
        raise MalformedInputError(f"npy: {error}") from error


def elements(
    data: Buffer, dtype: np.dtype[Any], shape: tuple[int, ...], order: str = "C", *, start: int = 0
) -> np.ndarray[Any, Any]:
    """Bytes that came with a dtype and a shape → an array of its own memory, native and C-contiguous.

    Args:
        start: bytes of `data` to pass over.

    Raises:
        ValueError: the bytes are not as many as the shape needs, or are no valid text.
    """
    expected = math.prod(shape) * dtype.itemsize  # Python integers: no overflow, nothing allocated
    given = len(data) - start
    if given != expected:
        raise ValueError(f"shape {list(shape)} of {dtype.name} needs {expected} bytes, got {given}")
    if not expected:
        return np.empty(shape, dtype.newbyteorder("="))
    raw: np.ndarray[Any, Any] = np.ndarray(shape, dtype, data, start, order="F" if order == "F" else "C")
    array: np.ndarray[Any, Any] = (
        raw.copy("C") if dtype.isnative else raw.astype(dtype.newbyteorder("="), order="C")
    )
    if dtype.kind == "U":
        try:
            array.tolist()
        except (ValueError, UnicodeError, SystemError) as error:
            raise ValueError("a string holds a code point that does not exist") from error
    elif dtype.kind == "b" and int(array.view(np.uint8).max()) > 1:
        raise ValueError("a bool element is neither 0 nor 1")
    return array


def write(array: np.ndarray[Any, Any]) -> bytes:
    """npy 1.0 bytes, in C order; raises ValueError for object arrays."""
    if array.dtype.hasobject:
        raise ValueError("an array of Python objects has no npy form; give it a dtype")
    head = _head(array.dtype, array.shape)
    if array.nbytes < _LARGE_BYTES:
        return head + array.tobytes()
    return b"".join((head, octets(array)))  # copied once


def octets(array: np.ndarray[Any, Any]) -> memoryview:
    """The elements in C order as bytes; not copied where they lie so already."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


@lru_cache(maxsize=256)
def _head(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    out = BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()
