"""Numbers, text and bytes."""

from __future__ import annotations

import enum
import numbers
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ...schema.encode import to_plain
from .draft import FieldProto
from .form import KeyForm, ScalarForm

_LONGEST = 2**63
_EXACT = 2**53
"""Integers up to here are exact in a double."""


class BoolForm(ScalarForm):
    code = FieldProto.TYPE_BOOL
    word = "Bool"
    reads_as_it_is = True

    def read(self, value: Any) -> Any:
        return value

    def write(self, value: Any) -> bool:
        if not self.fits(value):
            raise TypeError(f"expected a bool, got a {type(value).__name__}")
        return bool(value)

    def fits(self, value: object) -> bool:
        return isinstance(value, (bool, np.bool_))


class IntForm(ScalarForm):
    code = FieldProto.TYPE_INT64
    word = "Int"
    reads_as_it_is = True

    def __init__(self, note: str = "") -> None:
        self.note = note

    def read(self, value: Any) -> Any:
        return value

    def write(self, value: Any) -> int:
        found = operator.index(value.value if isinstance(value, enum.Enum) else _item(value))
        if not -_LONGEST <= found < _LONGEST:
            raise ValueError("the integer is too large for int64")
        return found

    def fits(self, value: object) -> bool:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)


class FloatForm(ScalarForm):
    code = FieldProto.TYPE_DOUBLE
    word = "Double"
    reads_as_it_is = True

    def __init__(self, note: str = "") -> None:
        self.note = note

    def read(self, value: Any) -> Any:
        return value

    def write(self, value: Any) -> float:
        if isinstance(value, (str, bytes)) or value is None:
            raise TypeError(f"expected a number, got a {type(value).__name__}")
        if isinstance(value, int) and abs(value) > _EXACT and int(float(value)) != value:
            raise ValueError("the integer has more digits than a double; return it as an int or a str")
        return float(value)

    def fits(self, value: object) -> bool:
        return isinstance(value, numbers.Real) and not isinstance(value, bool)


class TextForm(ScalarForm):
    """Any text; of a literal, those that are named."""

    code = FieldProto.TYPE_STRING
    word = "String"
    reads_as_it_is = True

    def __init__(self, note: str = "", *, empty_is_missing: bool = False) -> None:
        self.note = note
        self.empty_is_missing = empty_is_missing

    def read(self, value: Any) -> Any:
        return value

    def write(self, value: Any) -> str:
        if isinstance(value, enum.Enum):
            value = value.value
        if not isinstance(value, str):
            raise TypeError(f"expected a str, got a {type(value).__name__}")
        return str(value)

    def fits(self, value: object) -> bool:
        return isinstance(value, str)


class WrittenForm(ScalarForm):
    """What JSON writes as text too: dates, times, UUIDs, decimals.

    Args:
        kind: the class of the values.
        note: how they are written.
    """

    code = FieldProto.TYPE_STRING
    word = "String"
    reads_as_it_is = True
    empty_is_missing = True

    def __init__(self, kind: type, note: str) -> None:
        self._kind = kind
        self.note = note

    def read(self, value: Any) -> Any:
        return value

    def write(self, value: Any) -> str:
        plain = to_plain(value)
        if not isinstance(plain, str):
            raise TypeError(f"expected a {self._kind.__name__}, got a {type(value).__name__}")
        return plain

    def fits(self, value: object) -> bool:
        return isinstance(value, (self._kind, str))


class BytesForm(ScalarForm):
    code = FieldProto.TYPE_BYTES
    word = "Bytes"
    reads_as_it_is = True

    def read(self, value: Any) -> Any:
        return value

    def write(self, value: Any) -> bytes:
        if not self.fits(value):
            raise TypeError(f"expected bytes, got a {type(value).__name__}")
        return bytes(value)

    def fits(self, value: object) -> bool:
        return isinstance(value, (bytes, bytearray, memoryview))


def _item(value: Any) -> Any:
    """The number of an array or tensor without axes."""
    return value.item() if hasattr(value, "item") else value


def _as_text(value: Any) -> str:
    """A key as JSON writes it."""
    plain = to_plain({value: None})
    return str(next(iter(plain)))


def _number(text: str) -> Any:
    """A key that is a float; what is none is left for the schema to refuse."""
    try:
        return float(text)
    except ValueError:
        return text


def _same(value: Any) -> Any:
    return value


def _key(kind: int, word: str, read: Callable[[Any], Any], write: Callable[[Any], Any]) -> KeyForm:
    return KeyForm(kind, word, read, write)


TEXT_KEY = _key(FieldProto.TYPE_STRING, "String", _same, _as_text)
FLOAT_KEY = _key(FieldProto.TYPE_STRING, "String", _number, _as_text)
INT_KEY = _key(FieldProto.TYPE_INT64, "Int", _same, IntForm().write)
BOOL_KEY = _key(FieldProto.TYPE_BOOL, "Bool", _same, BoolForm().write)
