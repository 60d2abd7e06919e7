"""Elements of BYTES tensors in binary: each is its length (u32, little-endian) and then its bytes."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

_LENGTH = struct.Struct("<I")


def unpack(data: bytes | bytearray | memoryview, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The elements as an object array of `bytes`.

    Raises:
        ValueError: they are not as many as the shape needs, or one is cut short; nothing was allocated for
            what is not there.
    """
    view = memoryview(data)
    size = len(view)
    count = math.prod(shape)
    if count * _LENGTH.size > size:
        raise ValueError(f"shape {list(shape)} needs {count} elements, the {size} bytes hold fewer")
    elements: list[bytes] = []
    at = 0
    while at < size:
        end = at + _LENGTH.size
        if end > size:
            raise ValueError(
                f"element {len(elements)} is cut short: {size - at} bytes are left for its length"
            )
        (length,) = _LENGTH.unpack_from(view, at)
        at = end + length
        if at > size:
            raise ValueError(f"element {len(elements)} should have {length} bytes, {size - end} are left")
        elements.append(bytes(view[end:at]))
    if len(elements) != count:
        raise ValueError(f"shape {list(shape)} needs {count} elements, got {len(elements)}")
    return as_array(elements, shape)


def pack(array: np.ndarray[Any, Any]) -> bytes:
    """The binary form of an array of `bytes`."""
    parts: list[bytes] = []
    for element in array.ravel().tolist():
        parts += (_LENGTH.pack(len(element)), element)
    return b"".join(parts)


def as_array(elements: Iterable[bytes], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """An object array of `shape`; numpy itself would cut trailing zeros off."""
    listed = list(elements)
    array: np.ndarray[Any, Any] = np.empty(len(listed), object)
    array[:] = listed
    return array.reshape(shape)
