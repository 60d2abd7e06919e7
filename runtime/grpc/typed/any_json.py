"""Any JSON: `google.protobuf.Value`, and `Struct` for maps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...schema.encode import to_plain
from .form import MessageForm

STRUCT_FILE = "google/protobuf/struct.proto"
_EXACT = 2**53


class ValueForm(MessageForm):
    """Any JSON. Its numbers are doubles: those that are whole arrive as int."""

    type_name = ".google.protobuf.Value"
    word = "Value"
    takes_none = True

    def __init__(self, note: str = "any JSON") -> None:
        self.note = note

    def read(self, value: Any) -> Any:
        return read_value(value)

    def fill(self, message: Any, value: Any) -> None:
        fill_value(message, to_plain(value))

    def fits(self, value: object) -> bool:  # noqa: ARG002 - everything does
        return True


class StructForm(MessageForm):
    """A map from text to any JSON."""

    type_name = ".google.protobuf.Struct"
    word = "Struct"
    note = "any JSON object"

    def read(self, value: Any) -> Any:
        return {key: read_value(item) for key, item in value.fields.items()}

    def fill(self, message: Any, value: Any) -> None:
        plain = to_plain(value)
        if not isinstance(plain, dict):
            raise TypeError(f"expected a dict, got a {type(value).__name__}")
        for key, item in plain.items():
            fill_value(message.fields[key], item)

    def fits(self, value: object) -> bool:
        return isinstance(value, Mapping)


def read_value(value: Any) -> Any:
    """`google.protobuf.Value` → None, bool, int, float, str, list, dict."""
    kind = value.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "list_value":
        return [read_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        return {key: read_value(item) for key, item in value.struct_value.fields.items()}
    return getattr(value, kind)


def fill_value(message: Any, plain: Any) -> None:
    """The other way; raises ValueError for an integer that a double cannot hold."""
    if plain is None:
        message.null_value = 0
    elif isinstance(plain, bool):
        message.bool_value = plain
    elif isinstance(plain, (int, float)):
        if isinstance(plain, int) and abs(plain) > _EXACT:
            raise ValueError("the integer has more digits than a double; return it as a str")
        message.number_value = plain
    elif isinstance(plain, str):
        message.string_value = plain
    elif isinstance(plain, list):
        values = message.list_value.values
        message.list_value.SetInParent()
        for item in plain:
            fill_value(values.add(), item)
    else:
        message.struct_value.SetInParent()
        fields = message.struct_value.fields
        for key, item in plain.items():
            fill_value(fields[key], item)
