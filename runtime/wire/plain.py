"""Plain arrays, the usual content of a batch, described without an encoder and made again without a decoder.

The description of an array, or of a tuple of arrays, depends on nothing but dtypes and shapes. Both ends
remember those that they have seen, so that a batch costs a look into a dict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from .arena import Gathered
from .frame import JOIN_BYTES, Buffer, Part

TUPLE, ARRAY = 1, 16
"""Extension codes, the first two of `values`."""
SENDABLE = frozenset("biufcSUMm")
"""numpy kinds whose bytes mean the same in another process."""
REMEMBERED = 1024
"""Descriptions that are kept; when there are more, all are forgotten: no peer can make them grow."""
LONGEST_BYTES = 256
"""Of a description that is kept."""
VIEW_BYTES = 4096
"""Rows of this size are sent from where they lie; smaller ones are sooner copied together than named."""

_ndarray = np.ndarray
_Ext = msgspec.msgpack.Ext
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Plan(NamedTuple):
    """How one array is made again."""

    place: int
    """Of its buffer."""
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int
    """Bytes that the buffer has."""


_descriptions: dict[tuple[Any, ...], bytes] = {}
_plans: dict[bytes, tuple[bool, list[Plan]] | None] = {}
"""Whether it is a tuple, and its arrays; None for a description of something else."""


def flat(array: np.ndarray[Any, Any]) -> Buffer:
    """The bytes of an array in C order; its own memory where it has that order and is not small."""
    if array.nbytes < 1024:  # cheaper to copy than to make a view
        return array.tobytes()
    return memoryview(array.reshape(-1).view("u1"))  # type: ignore[arg-type]


def pack(value: Any, buffers: list[Buffer]) -> bytes | None:
    """The description of an array or a tuple of arrays, whose bytes are appended; None for all else."""
    if type(value) is _ndarray:
        description = _describe((len(buffers), value.dtype, value.shape))
        if description is not None:
            buffers.append(flat(value))
        return description
    if type(value) is not tuple or not value or not all(type(array) is _ndarray for array in value):
        return None
    description = _describe((len(buffers), *[(array.dtype, array.shape) for array in value]))
    if description is not None:
        buffers += [flat(array) for array in value]
    return description


def pack_rows(calls: Sequence[tuple[Any, ...]], rows: int, buffers: list[Part]) -> bytes | None:
    """The same for the arguments of several calls, put together on axis 0 without an array of all.

    Args:
        calls: arrays at the same place have equal dtypes, and equal shapes but for axis 0.
        rows: of all of them.
    """
    first = calls[0]
    if not all(type(array) is _ndarray for array in first):
        return None
    shapes = [(rows, *array.shape[1:]) for array in first]
    kinds = [(array.dtype, shape) for array, shape in zip(first, shapes, strict=True)]
    description = _describe((len(buffers), *kinds))
    if description is not None:
        for array, shape, column in zip(first, shapes, zip(*calls, strict=True), strict=True):
            buffers.append(_together(column, math.prod(shape) * array.itemsize))
    return description


def _together(parts: tuple[Any, ...], size: int) -> Part:
    if size > JOIN_BYTES and size >= VIEW_BYTES * len(parts):
        return Gathered([flat(part) for part in parts], size)
    try:
        return b"".join(parts)
    except TypeError:  # one of them is not in C order
        return b"".join([flat(part) for part in parts])


def _describe(key: tuple[Any, ...]) -> bytes | None:
    """For (index of the first buffer, dtype, shape) of an array, or (index, (dtype, shape) …) of a tuple."""
    description = _descriptions.get(key)
    if description is None:
        index, *arrays = key
        bare = not isinstance(arrays[0], tuple)
        exts = []
        for place, (dtype, shape) in enumerate([arrays] if bare else arrays):
            if dtype.kind not in SENDABLE or not dtype.itemsize:
                return None
            exts.append(_Ext(ARRAY, _encode([index + place, dtype.str, shape])))
        description = _encode(exts[0] if bare else _Ext(TUPLE, _encode(exts)))
        if len(_descriptions) >= REMEMBERED:
            _descriptions.clear()
        _descriptions[key] = description
    return description


def unpack(description: bytes, buffers: Sequence[memoryview]) -> Any:
    """The array or tuple of arrays, over the buffers; None when it is something else, or malformed."""
    try:
        known = _plans[description]
    except KeyError:
        known = _plan(description)
        if len(_plans) >= REMEMBERED:
            _plans.clear()
        if len(description) <= LONGEST_BYTES:
            _plans[description] = known
    if known is None:
        return None
    made = []
    for place, dtype, shape, size in known[1]:
        if place >= len(buffers) or len(buffers[place]) != size:
            return None
        # Not np.ndarray(…, buffer): it would look through the view, which keeps an arena lent.
        array = np.frombuffer(buffers[place], dtype) if size else np.empty(0, dtype)
        made.append(array.reshape(shape))
    return tuple(made) if known[0] else made[0]


def _plan(description: bytes) -> tuple[bool, list[Plan]] | None:
    try:
        whole = _decode(description)
        if type(whole) is not _Ext:
            return None
        exts = _decode(whole.data) if whole.code == TUPLE else [whole]
        if not isinstance(exts, list) or any(type(ext) is not _Ext or ext.code != ARRAY for ext in exts):
            return None
        return whole.code == TUPLE, [_array_plan(*_decode(ext.data)) for ext in exts]
    except Exception:  # noqa: BLE001 - numpy reads names of types with Python's parser, and raises what that does
        return None  # whoever reads it in full says what is wrong


def _array_plan(place: int, name: str, shape: list[int]) -> Plan:
    dtype = np.dtype(name)
    if place < 0 or dtype.kind not in SENDABLE or not dtype.itemsize or any(size < 0 for size in shape):
        raise ValueError
    return Plan(place, dtype, tuple(shape), math.prod(shape) * dtype.itemsize)
