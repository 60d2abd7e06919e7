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
_KEYS = {"descr", "fortran_order", "shape"}


def read(body: Buffer) -> np.ndarray[Any, Any]:
    """The array in `body`, in native byte order and C order, writable, of its own memory.

    Raises:
        MalformedInputError: not npy, cut short, too long, or of objects or structures.
    """
    view = memoryview(body)
    if len(view) < 10 or bytes(view[:6]) != _MAGIC:
        raise MalformedInputError("the body is not an npy file: it does not start with its magic string")
    major = view[6]
    if major not in (1, 2):
        raise MalformedInputError(f"npy format version {major} is not supported, use 1 or 2")
    start = 10 if major == 1 else 12
    if len(view) < start:
        raise MalformedInputError("the npy file ends inside its header")
    size = struct.unpack_from("<H" if major == 1 else "<I", view, 8)[0]
    if size > _MAX_HEADER_BYTES:
        raise MalformedInputError(
            f"the npy header is {size} bytes long, at most {_MAX_HEADER_BYTES} are allowed"
        )
    if len(view) < start + size:
        raise MalformedInputError("the npy file ends inside its header")
    dtype, fortran, shape = _header(bytes(view[start : start + size]))
    return _elements(view[start + size :], dtype, shape, fortran)


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


def _elements(
    data: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool
) -> np.ndarray[Any, Any]:
    try:
        return elements(data, dtype, shape, "F" if fortran else "C")
    except ValueError as error:
        raise MalformedInputError(f"npy: {error}") from error


def elements(
    data: Buffer, dtype: np.dtype[Any], shape: tuple[int, ...], order: str = "C"
) -> np.ndarray[Any, Any]:
    """Bytes that came with a dtype and a shape → an array of its own memory, native and C-contiguous.

    Raises:
        ValueError: the bytes are not as many as the shape needs, or are no valid text.
    """
    expected = math.prod(shape) * dtype.itemsize  # Python integers: no overflow, nothing allocated
    if memoryview(data).nbytes != expected:
        raise ValueError(
            f"shape {list(shape)} of {dtype.name} needs {expected} bytes, got {memoryview(data).nbytes}"
        )
    flat = np.frombuffer(data, dtype) if expected else np.empty(0, dtype)
    array = flat.reshape(shape, order="F" if order == "F" else "C")
    array = np.array(array, dtype=dtype.newbyteorder("="), order="C")
    if dtype.kind == "U":
        try:
            array.tolist()
        except (ValueError, UnicodeError, SystemError) as error:
            raise ValueError("a string holds a code point that does not exist") from error
    elif dtype.kind == "b" and expected and int(array.view(np.uint8).max()) > 1:
        raise ValueError("a bool element is neither 0 nor 1")
    return array


def write(array: np.ndarray[Any, Any]) -> bytes:
    """npy 1.0 bytes; raises ValueError for object arrays."""
    if array.dtype.hasobject:
        raise ValueError("an array of Python objects has no npy form; give it a dtype")
    out = BytesIO()
    np.lib.format.write_array(out, np.asarray(array), allow_pickle=False)
    return out.getvalue()
