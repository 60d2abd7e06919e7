"""Enums: a value's number is its place in the class, from 1 on; 0 means that none was given."""

from __future__ import annotations

import enum
import inspect
from typing import Any

from ...schema.wrong import WrongValueError
from .draft import FieldProto, FileDraft
from .form import ScalarForm
from .names import Names, identifier, snake, type_name

_NO_DOC = "An enumeration."
"""What Python 3.10 writes where there is none."""


class EnumForm(ScalarForm):
    """Made by `EnumForm.of`.

    Args:
        full_name: of the enum in the file.
        members: in their order.
    """

    code = FieldProto.TYPE_ENUM
    empty_is_missing = True

    def __init__(self, full_name: str, members: list[enum.Enum]) -> None:
        self.type_name = full_name
        self.word = full_name.rpartition(".")[2]
        self._members = members
        self._values = [None, *(member.value for member in members)]
        self._numbers = {member.value: number for number, member in enumerate(members, start=1)}

    @classmethod
    def of(cls, kind: type[enum.Enum], file: FileDraft) -> EnumForm:
        members = list(kind)
        prefix = snake(type_name(kind.__name__)).upper()
        names = Names("_")
        names.take(f"{prefix}_UNSPECIFIED")
        values = [(f"{prefix}_UNSPECIFIED", "")]
        for member in members:
            name = names.take(f"{prefix}_{identifier(member.name, 'VALUE').upper()}")
            values.append((name, f"{member.value!r} in JSON"))
        doc = kind.__dict__.get("__doc__") or ""
        doc = "" if doc == _NO_DOC else inspect.cleandoc(doc)
        return cls(file.enum(type_name(kind.__name__), values, doc), members)

    def read(self, value: Any) -> Any:
        if not 0 < value < len(self._values):
            raise WrongValueError(f"{self.word} has no value with the number {value}")
        return self._values[value]

    def write(self, value: Any) -> int:
        plain = value.value if isinstance(value, enum.Enum) else value
        try:
            return self._numbers[plain]
        except (KeyError, TypeError):
            raise ValueError(f"{plain!r} is no value of {self.word}") from None

    def fits(self, value: object) -> bool:
        if isinstance(value, enum.Enum):
            return value in self._members
        return isinstance(value, (str, int)) and value in self._numbers
