"""msgpack bodies of arrays and plain scalars → arguments, decoded straight into their types.

Only what is right is read here. For all else `read` gives None: the general way decides and finds the words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from .array import ArrayKind, unpacked
from .dims import MAX_AXES
from .kind import Buffer
from .parameter import Parameter
from .wrong import WrongValueError


class Packed(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """The compact form of an array."""

    dtype: str
    shape: Annotated[tuple[int, ...], msgspec.Meta(max_length=MAX_AXES)]
    data: memoryview
    """Of the body: not copied yet."""


class PackedBody:
    """Reads the bodies of one route. Made by `PackedBody.of`."""

    def __init__(self, found: Sequence[Parameter]) -> None:
        self._arrays = tuple((each.name, each.array) for each in found if each.array is not None)
        self._scalars = tuple(each.name for each in found if each.array is None)
        record = msgspec.defstruct(
            "Body", [each.field(_hint(each)) for each in found], forbid_unknown_fields=True, kw_only=True
        )
        self._decode = msgspec.msgpack.Decoder(record).decode

    @classmethod
    def of(cls, found: Sequence[Parameter]) -> PackedBody | None:
        """None when there is no array, or a parameter is neither an array nor a plain scalar."""
        if not any(each.array for each in found):
            return None
        return cls(found) if all(each.array or each.plain_scalar for each in found) else None

    def read(self, body: Buffer) -> dict[str, Any] | None:
        """A msgpack body → keyword arguments; None when anything is wrong with it."""
        try:
            values = msgspec.structs.asdict(self._decode(body))
            for name, kind in self._arrays:
                values[name] = _array(kind, values[name])
        except (msgspec.DecodeError, WrongValueError, UnicodeDecodeError, OverflowError, RecursionError):
            return None
        for name in self._scalars:
            if type(values[name]) is float and not math.isfinite(values[name]):
                return None
        return values


def _hint(parameter: Parameter) -> Any:
    """What msgspec decodes an array parameter into: the compact form, or nested lists."""
    if parameter.array is None:
        return parameter.plain
    hint: Any = Packed
    if parameter.array.list_type is not None:
        hint = hint | parameter.array.list_type
    return hint | None if parameter.optional else hint


def _array(kind: ArrayKind, value: Any) -> Any:
    if type(value) is Packed:
        return kind.shaped(kind.dtypes.cast(unpacked(value.dtype, value.shape, value.data)))
    return kind.from_list(value) if type(value) is list else value  # a default
