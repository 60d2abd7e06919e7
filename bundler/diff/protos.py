"""What gRPC callers feel of a change that JSON callers do not: numbers and types of the fields on the wire.

Reads `apis/service.proto` as tiffin writes it: one statement a line, comments on lines of their own.
https://protobuf.dev/programming-guides/proto3/#updating
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .change import Change

_PACKAGE = re.compile(r"package ([\w.]+);")
_BLOCK = re.compile(r"(service|message|enum|oneof) (\w+) \{(\})?")
_RPC = re.compile(r"rpc (\w+)\((?:stream )?([\w.]+)\) returns \((?:stream )?([\w.]+)\)")
_FIELD = re.compile(r"(?:(optional|repeated) )?(map<\w+, [\w.]+>|[\w.]+) (\w+) = (\d+)\b")
_VALUE = re.compile(r"(\w+) = (-?\d+)\b")


class _Field(NamedTuple):
    number: int
    type: str
    repeated: bool

    @property
    def words(self) -> str:
        return f"repeated {self.type}" if self.repeated else self.type


class _File(NamedTuple):
    service: str
    """`iris.Iris`"""
    methods: dict[str, tuple[str, str]]
    """Name to the messages of request and reply."""
    messages: dict[str, dict[str, _Field]]
    enums: dict[str, dict[str, int]]


class GrpcChange(NamedTuple):
    """One, and where JSON would tell of it too."""

    method: str
    """Of the `.proto`; empty: all."""
    field: str
    """Of the request, or `result`; empty: all."""
    change: Change


def grpc_changes(old: str, new: str) -> list[GrpcChange]:
    """
    Args:
        old: text of the `.proto`; empty: there is none.
        new: of the other.
    """
    if not old or not new:
        return []
    return list(_changes(_read(old), _read(new)))


def _changes(old: _File, new: _File) -> Iterator[GrpcChange]:
    if old.service != new.service:
        what = f"service {old.service} → {new.service}"
        yield GrpcChange("", "", Change(path="gRPC", what=what, breaking=True))
    for method, messages in old.methods.items():
        for one, other in zip(messages, new.methods.get(method, ()), strict=False):
            for path, what in _Messages(old, new).differ(one, other, ""):
                place = f"gRPC {method}: {path[1:]}"
                first = re.split(r"[.\[]", path[1:], maxsplit=1)[0]
                yield GrpcChange(method, first, Change(path=place, what=what, breaking=True))


class _Messages:
    def __init__(self, old: _File, new: _File) -> None:
        self._old, self._new = old, new
        self._met: set[tuple[str, str]] = set()

    def differ(self, one: str, other: str, path: str) -> Iterator[tuple[str, str]]:
        if (one, other) in self._met:
            return
        self._met.add((one, other))
        if one in self._old.enums and other in self._new.enums:
            yield from _numbers(self._old.enums[one], self._new.enums[other], path)
            return
        before, after = self._old.messages.get(one, {}), self._new.messages.get(other, {})
        yield from _numbers(
            {name: field.number for name, field in before.items()},
            {name: field.number for name, field in after.items()},
            path,
        )
        for name, field in before.items():
            if name in after:
                yield from self._field(field, after[name], f"{path}.{name}")

    def _field(self, one: _Field, other: _Field, path: str) -> Iterator[tuple[str, str]]:
        if one.repeated != other.repeated or self._kind(one, self._old) != self._kind(other, self._new):
            yield path, f"{one.words} → {other.words}"
            return
        yield from self.differ(_named(one.type), _named(other.type), path)

    def _kind(self, field: _Field, file: _File) -> str:
        """What bytes it has: names of messages and enums are not among them."""
        name = _named(field.type)
        kind = "message" if name in file.messages else "enum" if name in file.enums else name
        return field.type.replace(name, kind)


def _numbers(old: dict[str, int], new: dict[str, int], path: str) -> Iterator[tuple[str, str]]:
    taken = {number: name for name, number in new.items()}
    for name, number in old.items():
        if name in new and new[name] != number:
            yield f"{path}.{name}", f"number {number} → {new[name]}"
        elif name not in new and number in taken and taken[number] not in old:
            yield f"{path}.{name}", f"its number {number} is that of {taken[number]} now"


def _named(kind: str) -> str:
    """`P` of `P` and of `map<string, P>`."""
    return kind.rpartition(", ")[2].rstrip(">")


def _read(text: str) -> _File:
    package = _PACKAGE.search(text)
    service = ""
    methods: dict[str, tuple[str, str]] = {}
    messages: dict[str, dict[str, _Field]] = {}
    enums: dict[str, dict[str, int]] = {}
    open_blocks: list[tuple[str, str]] = []
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("//"):
            continue
        if block := _BLOCK.match(line):
            kind, name = block[1], block[2]
            outer = "" if kind == "oneof" or not open_blocks else f"{open_blocks[-1][1]}."
            if kind == "service":
                service = f"{package[1]}.{name}" if package else name
            elif kind == "message":
                messages[outer + name] = {}
            elif kind == "enum":
                enums[outer + name] = {}
            # The fields of a oneof are fields of the message around it.
            inside = open_blocks[-1] if kind == "oneof" and open_blocks else (kind, outer + name)
            if not block[3]:
                open_blocks.append(inside)
        elif line.startswith("}") and open_blocks:
            open_blocks.pop()
        elif rpc := _RPC.match(line):
            methods[rpc[1]] = (rpc[2], rpc[3])
        elif open_blocks and open_blocks[-1][0] == "message" and (field := _FIELD.match(line)):
            message = messages[open_blocks[-1][1]]
            message[field[3]] = _Field(int(field[4]), field[2], field[1] == "repeated")
        elif open_blocks and open_blocks[-1][0] == "enum" and (value := _VALUE.match(line)):
            enums[open_blocks[-1][1]][value[1]] = int(value[2])
    return _File(service, methods, messages, enums)
