"""What one value is in a message: the type of its field, and the way there and back.

Reading makes of a field the plain value that msgpack would hold at that place (numbers, text, bytes,
lists, maps, arrays), and the same schema code that checks JSON makes the user's types of it. Writing takes
the user's values as they are.
"""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from ...schema.wrong import WrongValueError
from .draft import FieldProto


class UnsupportedFormError(TypeError):
    """A hint that no message can hold; the message says why and what to use."""


class Form(ABC):
    """One type of a field."""

    code: int
    """`FieldProto.TYPE_…`"""
    type_name = ""
    """Full name of the message or enum; empty for scalars."""
    word: str
    """In the names of what is made of it: `Double` in `DoubleList`."""
    note = ""
    """Comment of the field, one line or more."""
    takes_none = False
    """Whether None can be said without help."""

    @abstractmethod
    def read(self, value: Any) -> Any:
        """What the field holds → plain value; raises WrongValueError."""

    @abstractmethod
    def fits(self, value: object) -> bool:
        """Whether a result is of this kind: how the right member of a union is found."""


class ScalarForm(Form):
    """A number, text, bytes or an enum."""

    reads_as_it_is = False
    """Whether `read` gives back what it is given."""
    empty_is_missing = False
    """Whether 0 or "" fits no value, so that a field that was left out is told as missing."""

    @abstractmethod
    def write(self, value: Any) -> Any:
        """A result → what the field takes; raises TypeError or ValueError."""


class MessageForm(Form):
    """A message, filled where it lies."""

    code = FieldProto.TYPE_MESSAGE

    @abstractmethod
    def fill(self, message: Any, value: Any) -> None:
        """Writes a result; raises TypeError or ValueError."""


class KeyForm(NamedTuple):
    """Keys of a map."""

    code: int
    word: str
    read: typing.Callable[[Any], Any]
    write: typing.Callable[[Any], Any]


class Place(NamedTuple):
    """What stands at one place of a hint: a value, a list of values or a map of them."""

    form: Form
    """Of the value, or of each."""
    many: Literal["", "list", "map"] = ""
    key: KeyForm | None = None
    """Of a map."""
    nullable: bool = False
    note: str = ""
    """Comment for the field; empty: the form's."""


def items(value: Any) -> list[Any]:
    """What a list is made of: a list, tuple, set, array, tensor or Series; raises TypeError."""
    if isinstance(value, (str, bytes, bytearray, Mapping)) or value is None:
        raise TypeError(f"expected a list, got {_type(value)}")
    if hasattr(value, "tolist"):
        found = value.tolist()
        if not isinstance(found, list):
            raise TypeError(f"expected a list, got {_type(value)}")
        return found
    if not isinstance(value, Iterable):
        raise TypeError(f"expected a list, got {_type(value)}")
    return list(value)


def pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    """What a map is made of; raises TypeError."""
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a dict, got {_type(value)}")
    return value.items()


def _type(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def wrong(error: Exception, at: str) -> WrongValueError:
    """The same complaint, one step further out."""
    if isinstance(error, WrongValueError):
        return WrongValueError(error.message, at + error.at)
    return WrongValueError(str(error), at)


FAILURES = (WrongValueError, TypeError, ValueError, OverflowError, AttributeError)
"""What reading and writing raise for values that do not fit."""
