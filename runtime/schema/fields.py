"""Fields of dataclasses and TypedDicts: unknown ones are refused, and defaults are really set.

msgspec Structs (`forbid_unknown_fields`) and pydantic models (`extra`) say themselves what an unknown field
means. Dataclasses and TypedDicts cannot, and msgspec passes over it: a mistyped name of a field that has a
default would silently do nothing. msgspec also leaves a plain default of a dataclass to the attribute of its
class, where its own encoder does not look.
"""

from __future__ import annotations

import typing
from typing import Any

import msgspec
from msgspec import inspect

from .explain import unknown_field

_OPEN = (inspect.DataclassType, inspect.TypedDictType)
_MAPS = (inspect.DictType, inspect.TypedDictType)
_LISTS = (inspect.ListType, inspect.VarTupleType)
_ROWS = (*_LISTS, inspect.TupleType, inspect.NamedTupleType)


class Fields:
    """The dataclasses and TypedDicts inside one hint. Made by `Fields.of`."""

    def __init__(self, info: Any) -> None:
        self._info = info
        nodes = _below(info)
        self._ways = frozenset(
            id(node) for node in nodes if any(isinstance(each, _OPEN) for each in _below(node))
        )
        """What leads to such a class; all else is passed over, such as long lists of numbers."""
        self._tables = {
            id(node): _Table(node, self._ways)
            for node in nodes
            if id(node) in self._ways and hasattr(node, "fields")
        }
        self.names = frozenset(_class_of(node).__name__ for node in nodes if isinstance(node, _OPEN))
        """Names of these classes."""

    @classmethod
    def of(cls, lowered: Any) -> Fields | None:
        """None when there is no such class, so that a request pays nothing."""
        try:
            found = cls(inspect.type_info(lowered))
        except (TypeError, NameError):
            return None  # a stand-in of a test; what msgspec cannot read, `lower` has refused
        return found if found.names else None

    def settle(self, value: Any, plain: Any, path: str) -> None:
        """Looks at every such class in `value`, and sets the defaults that are missing.

        Args:
            value: what was decoded.
            plain: the maps and lists that it was decoded from.
            path: of the value, for the error.

        Raises:
            InvalidInputError: a field that its class does not have; names the nearest.
        """
        self._settle(self._info, value, plain, path)

    def _settle(self, info: Any, value: Any, plain: Any, path: str) -> None:
        if id(info) not in self._ways:
            return
        if isinstance(info, inspect.Metadata):
            self._settle(info.type, value, plain, path)
        elif isinstance(info, inspect.UnionType):
            for part in info.types:
                if _is_of(value, part):
                    self._settle(part, value, plain, path)
                    return
        elif isinstance(plain, dict):
            if isinstance(info, inspect.DictType):
                for (key, inner_plain), inner in zip(plain.items(), value.values(), strict=False):
                    self._settle(info.value_type, inner, inner_plain, f"{path}.{key}")
            else:
                self._settle_fields(self._tables[id(info)], value, plain, path)
        elif isinstance(plain, (list, tuple)) and isinstance(info, _ROWS):
            kinds = _parts(info) * (len(plain) if isinstance(info, _LISTS) else 1)
            for at, (kind, inner, inner_plain) in enumerate(zip(kinds, value, plain, strict=False)):
                self._settle(kind, inner, inner_plain, f"{path}[{at}]")

    def _settle_fields(self, table: _Table, value: Any, plain: dict[str, Any], path: str) -> None:
        if table.known is not None and not plain.keys() <= table.known.keys():
            name = next(name for name in plain if name not in table.known)
            raise unknown_field(name, table.known, path)
        for sent, name, kind in table.leading:
            if sent in plain:
                inner = value[name] if isinstance(value, dict) else getattr(value, name)
                self._settle(kind, inner, plain[sent], f"{path}.{sent}")
        if table.defaults:
            own = getattr(value, "__dict__", None)
            if own is not None:
                for name, default in table.defaults:
                    own.setdefault(name, default)


class _Table:
    """One class with fields, looked up once.

    Args:
        info: msgspec's description.
        ways: ids of the descriptions that lead to a class to look at.
    """

    __slots__ = ("defaults", "known", "leading")

    def __init__(self, info: Any, ways: frozenset[int]) -> None:
        self.known = {field.encode_name: None for field in info.fields} if isinstance(info, _OPEN) else None
        """Names as they are sent, in order; None when the class itself says what an unknown one means."""
        self.leading = tuple(
            (field.encode_name, field.name, field.type) for field in info.fields if id(field.type) in ways
        )
        """Fields to look into: name as it is sent, name, description."""
        self.defaults = tuple(
            (field.name, field.default)
            for field in info.fields
            if isinstance(info, inspect.DataclassType) and field.default is not msgspec.NODEFAULT
        )


def _below(info: Any) -> list[Any]:
    """`info` and everything inside it, once each."""
    found = {id(info): info}
    waiting = [info]
    while waiting:
        new = {id(part): part for part in _parts(waiting.pop()) if id(part) not in found}
        found |= new
        waiting += new.values()
    return list(found.values())


def _parts(info: Any) -> list[Any]:
    if isinstance(info, inspect.Metadata):
        return [info.type]
    if isinstance(info, inspect.UnionType):
        return list(info.types)
    if isinstance(info, _LISTS):
        return [info.item_type]
    if isinstance(info, inspect.TupleType):
        return list(info.item_types)
    if isinstance(info, inspect.DictType):
        return [info.value_type]
    return [field.type for field in getattr(info, "fields", ())]


def _is_of(value: Any, info: Any) -> bool:
    if isinstance(info, inspect.Metadata):
        return _is_of(value, info.type)
    if isinstance(info, _MAPS):
        return isinstance(value, dict)
    if isinstance(info, inspect.ListType):
        return isinstance(value, list)
    if isinstance(info, (inspect.VarTupleType, inspect.TupleType)):
        return isinstance(value, tuple)
    return hasattr(info, "cls") and isinstance(value, _class_of(info))


def _class_of(info: Any) -> type:
    """Of a generic class, `info.cls` is an alias."""
    found: type = typing.get_origin(info.cls) or info.cls
    return found
