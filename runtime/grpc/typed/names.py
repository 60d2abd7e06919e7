"""Names that every language takes: identifiers of letters, digits and underscores, none of them twice."""

from __future__ import annotations

import keyword
import re
import unicodedata

from google.protobuf.message import Message

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^A-Za-z0-9_]+")
_TAKEN = frozenset(dir(Message)) | {"DESCRIPTOR", "Extensions"}
"""Attributes that every message class of Python has."""
_PACKAGES = frozenset({"google", "grpc", "inference", "tensorflow", "tiffin"})
"""Packages of protocols that the same server may speak."""


def identifier(text: str, empty: str) -> str:
    """The nearest identifier: `größe` → `grosse`, `2nd` → `_2nd`.

    Args:
        text: any.
        empty: when nothing of it can be kept.
    """
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    found = _OTHER.sub("_", plain)
    if not found.strip("_"):
        return empty
    return f"_{found}" if found[0].isdigit() else found


def field_name(text: str) -> str:
    """Of a field: as it is called in JSON, where that is an identifier."""
    found = identifier(text, "field")
    return f"{found}_" if found in _TAKEN else found


def type_name(text: str) -> str:
    """`text_search`, `Box[int]` → `TextSearch`, `BoxInt`: of a service, a method, a message."""
    words = re.split(r"[^A-Za-z0-9]+", identifier(text, "Type"))
    found = "".join(word[:1].upper() + word[1:] for word in words) or "Type"
    return f"T{found}" if found[0].isdigit() else found


def snake(text: str) -> str:
    """`DoubleList` → `double_list`."""
    return _WORDS.sub("_", text).lower()


def package_name(service: str) -> str:
    """`text-search` → `text_search`."""
    found = identifier(service, "service").lower().strip("_")
    found = f"service_{found}" if found[0].isdigit() else found
    return f"{found}_service" if found in _PACKAGES or keyword.iskeyword(found) else found


class Names:
    """Names of one scope; what is taken gets a number: `Item`, `Item2`.

    Names that differ in case and underscores only count as the same: field names become `lowerCamelCase` in
    JSON, and other languages fold them in their own ways.
    """

    def __init__(self, join: str = "") -> None:
        self._taken: set[str] = set()
        self._join = join

    def take(self, wanted: str) -> str:
        """`wanted`, or the nearest to it that is free."""
        found, number = wanted, 2
        while self._key(found) in self._taken:
            found, number = f"{wanted}{self._join}{number}", number + 1
        self._taken.add(self._key(found))
        return found

    def copy(self) -> Names:
        made = Names(self._join)
        made._taken = set(self._taken)
        return made

    @staticmethod
    def _key(name: str) -> str:
        return name.replace("_", "").lower()
