"""Names for definitions, and the two forms that some have: what callers may leave out is there in answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .model import Schema, Service, references

_WORD = re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True)
class Field:
    name: str
    schema: Schema
    required: bool


@dataclass(frozen=True)
class Record:
    """One definition in one form."""

    name: str
    """In code."""
    schema: Schema
    doc: str
    fields: tuple[Field, ...] | None
    """None: no object with fields, but an enum, a union or a list."""
    given: bool
    """Sent by callers; else part of an answer."""


class Records:
    """All definitions of a service.

    Args:
        taken: names that the rest of the file uses.
    """

    def __init__(self, service: Service, taken: Iterable[str]) -> None:
        self._service = service
        given = _closure(
            service, [each.typed.schema for api in service.operations for each in api.parameters]
        )
        answered = _closure(service, [api.output.schema for api in service.operations])
        split = _closure_of_users(
            service, {name for name in service.records if _differs(service.records[name])}
        )
        self._names: dict[tuple[str, bool], str] = {}
        used = set(taken)
        for name in service.records:
            both = name in given and name in answered and name in split
            first = _free(_class_name(name), used)
            used.add(first)
            for is_given in (True, False):
                self._names[name, is_given] = first
            if both:
                second = _free(f"{first}Input", used)
                used.add(second)
                self._names[name, True] = second
        self.all = [self._record(*key) for key in self._distinct(given)]

    def name(self, reference: str, *, given: bool) -> str:
        return self._names[reference, given]

    def _distinct(self, given: set[str]) -> list[tuple[str, bool]]:
        """One entry for each name in code."""
        found: list[tuple[str, bool]] = []
        for name in self._service.records:
            if self._names[name, True] != self._names[name, False]:
                found += [(name, True), (name, False)]
            else:
                found.append((name, name in given))
        return found

    def _record(self, name: str, given: bool) -> Record:
        schema = self._service.records[name]
        fields = None
        if isinstance(schema.get("properties"), dict):
            needed = set(schema.get("required", ()))
            fields = tuple(
                Field(key, each, key in needed or (not given and "default" in each))
                for key, each in schema["properties"].items()
            )
        return Record(self._names[name, given], schema, str(schema.get("description", "")), fields, given)


def _differs(schema: Schema) -> bool:
    """Whether answers always have what callers may leave out."""
    needed = set(schema.get("required", ()))
    return any(
        "default" in each and name not in needed for name, each in schema.get("properties", {}).items()
    )


def _closure(service: Service, schemas: list[Schema]) -> set[str]:
    """The definitions behind these schemas."""
    found: set[str] = set()
    waiting = list(schemas)
    while waiting:
        for name in references(waiting.pop()):
            if name not in found:
                found.add(name)
                waiting.append(service.records[name])
    return found


def _closure_of_users(service: Service, names: set[str]) -> set[str]:
    """These definitions, and all that hold them."""
    found = set(names)
    grown = True
    while grown:
        users = {name for name, schema in service.records.items() if found.intersection(references(schema))}
        grown = not users <= found
        found |= users
    return found


def _class_name(name: str) -> str:
    """`Pair[int, str]` → `PairIntStr`."""
    words = _WORD.findall(name.replace("_", ""))
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined and not joined[0].isdigit() else f"Type{joined}"


def _free(name: str, used: set[str]) -> str:
    found, number = name, 2
    while found in used:
        found, number = f"{name}{number}", number + 1
    return found
