"""Arrays and tensors: one message for all, with their bytes or with numbers that a person can write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...schema.array import ArrayKind, compact
from ...schema.dims import MAX_AXES
from ...schema.dtypes import Dtypes, named
from ...schema.tensor import is_tensor
from ...schema.texts import check_room
from ...schema.wrong import WrongValueError
from .draft import FieldProto, FileDraft
from .form import MessageForm

TENSOR = "Tensor"
DATA = 3
"""Number of the field with the bytes."""
_DTYPE_NOTE = (
    "Type of the elements as numpy calls it: float32, int64, bool, bfloat16 … May be left out where only\n"
    "one is possible, and with a list."
)
_LISTS = (
    ("numbers", FieldProto.TYPE_DOUBLE, np.dtype("f8")),
    ("integers", FieldProto.TYPE_INT64, np.dtype("i8")),
    ("booleans", FieldProto.TYPE_BOOL, np.dtype("?")),
    ("texts", FieldProto.TYPE_STRING, None),
)
_FIELDS = (
    ("dtype", FieldProto.TYPE_STRING, False, _DTYPE_NOTE),
    ("shape", FieldProto.TYPE_INT64, True, "Sizes of the axes. May be left out when at most one is open."),
    ("data", FieldProto.TYPE_BYTES, False, "Little-endian, the last axis first (C order), without gaps."),
    ("numbers", FieldProto.TYPE_DOUBLE, True, "The elements in the same order."),
    ("integers", FieldProto.TYPE_INT64, True, ""),
    ("booleans", FieldProto.TYPE_BOOL, True, ""),
    ("texts", FieldProto.TYPE_STRING, True, ""),
)
TEXT_KINDS = "UMmO"
"""numpy kinds that are sent as text; the bytes of all others mean the same everywhere."""


def tensor_message(file: FileDraft) -> str:
    """The full name of the file's `Tensor`, which is added on first use."""
    known = file.known.get(TENSOR)
    if known is None:
        message = file.message(
            TENSOR,
            "An array. Send its elements in exactly one form: `data`, or one of the lists behind it, which\n"
            "are for people; answers have `data`, and `texts` for text.",
            own=True,
        )
        for name, kind, repeated, note in _FIELDS:
            message.add(message.field_name(name), code=kind, repeated=repeated, note=note)
        known = file.known[TENSOR] = message.full_name
    return str(known)


class TensorForm(MessageForm):
    """One array or tensor.

    Args:
        full_name: of the message.
        kind: what the hint says.
    """

    word = "Tensor"

    def __init__(self, full_name: str, kind: ArrayKind) -> None:
        self.type_name = full_name
        self.kind = kind
        self.note = kind.title
        names = kind.dtypes.names
        self._dtype = names[0] if names is not None and len(names) == 1 else ""

    def read(self, value: Any, data: Any = None) -> Any:
        """An array, or the compact form that msgpack has.

        Args:
            value: the message.
            data: its elements, when they have been taken out of it.
        """
        given = [(name, dtype) for name, _, dtype in _LISTS if len(getattr(value, name))]
        data = value.data if data is None else data
        if len(given) + bool(len(data)) > 1:
            names = [*["data"] * bool(len(data)), *(name for name, _ in given)]
            raise WrongValueError(f"expected the elements in one form, got {' and '.join(names)}")
        if not given:
            return self.from_data(value.dtype, list(value.shape), data)
        name, dtype = given[0]
        listed = getattr(value, name)
        if name == "texts":
            check_room(listed)
        array = np.array(listed, dtype)
        if value.dtype:
            array = _cast(array, value.dtype)
        return array.reshape(self._shape(value.shape, array.size))

    def from_data(self, dtype: str, shape: list[int], data: Any) -> Any:
        """The fields of a message without a list → the compact form, or an array.

        Raises:
            WrongValueError: dtype or shape is missing where it cannot be told.
        """
        dtype = dtype or self._dtype
        if not dtype:
            raise WrongValueError("name the type of the elements, such as float32", ".dtype")
        if dtype == "bfloat16":
            return self._from_bfloat16(shape, data)
        if not shape and len(data):
            try:
                size, rest = divmod(len(data), named(dtype).itemsize)
            except ValueError as error:
                raise WrongValueError(str(error), ".dtype") from error
            if rest:
                raise WrongValueError(f"{len(data)} bytes are no array of {dtype} elements", ".data")
            shape = list(self._shape((), size))
        elif not shape:
            shape = self._empty_shape()
        return {"dtype": dtype, "shape": shape, "data": data}

    def _from_bfloat16(self, shape: list[int], data: Any) -> np.ndarray[Any, Any]:
        """numpy has none; its bits are the upper half of a float32's."""
        if len(data) % 2:
            raise WrongValueError(f"{len(data)} bytes are no bfloat16 elements", ".data")
        bits = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        array: np.ndarray[Any, Any] = bits.view(np.float32)
        return array.reshape(self._shape(shape, array.size))

    def _shape(self, given: Sequence[int], size: int) -> tuple[int, ...]:
        """What was said, or what follows from the hint and the number of elements."""
        if len(given) > MAX_AXES:
            raise WrongValueError(f"expected at most {MAX_AXES} axes, got {len(given)}", ".shape")
        if given:
            if min(given) < 0 or math.prod(given) != size:
                raise WrongValueError(f"{size} elements do not fill the shape {list(given)}", ".shape")
            return tuple(given)
        dims = self.kind.dims
        if dims is None or self.kind.depth is None:
            return (size,)
        sizes = [axis.size for axis in dims.axes]
        if sizes.count(None) > 1:
            raise WrongValueError(f"say which: several shapes fit {dims}", ".shape")
        fixed = math.prod(each for each in sizes if each is not None)
        if fixed and size % fixed == 0:
            sizes = [size // fixed if each is None else each for each in sizes]
        shape = tuple(each or 0 for each in sizes)
        if math.prod(shape) != size:
            raise WrongValueError(f"{size} elements do not fill the shape {dims}", ".shape")
        return shape

    def _empty_shape(self) -> list[int]:
        """Of no elements at all."""
        dims = self.kind.dims
        if dims is None or self.kind.depth is None:
            return [0]
        return [axis.size or 0 for axis in dims.axes]

    def array_of(self, value: Any) -> np.ndarray[Any, Any]:
        """A result → numpy in an allowed dtype and shape; raises WrongValueError."""
        if not isinstance(value, np.ndarray) and not is_tensor(value):
            value = self.kind.from_plain(value)
        return self.kind.outgoing(value)

    def fill(self, message: Any, value: Any) -> None:
        array = self.array_of(value)
        if array.dtype.kind in TEXT_KINDS:
            message.dtype = "str"
            message.shape.extend(array.shape)
            message.texts.extend(_texts(array))
            return
        found = compact(array)
        message.dtype = found["dtype"]
        message.shape.extend(found["shape"])
        message.data = bytes(found["data"])

    def fits(self, value: object) -> bool:
        return isinstance(value, (np.ndarray, np.generic)) or is_tensor(value)


def _cast(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    if array.dtype.kind == "U":
        if name != "str":
            raise WrongValueError(f"texts are of the dtype str, not {name[:40]}", ".dtype")
        return array
    if name == "bfloat16":
        name = "float32"
    try:
        named(name)
        return Dtypes((name,), name).cast(array)
    except WrongValueError as error:
        raise WrongValueError(error.message, ".dtype") from error
    except (ValueError, TypeError) as error:
        raise WrongValueError(str(error), ".dtype") from error


def _texts(array: np.ndarray[Any, Any]) -> list[str]:
    plain = array.astype(str) if array.dtype.kind in "Mm" else array
    found: list[Any] = plain.ravel().tolist()
    if not all(isinstance(text, str) for text in found):
        raise TypeError("an array of Python objects has no form in a message; give it a dtype")
    return found
