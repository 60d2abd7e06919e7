"""What an enum or a literal at some place of a hint allows, for the error about another value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import inspect

from .wrong import short

STEP = re.compile(r"\[\.\.\.\]|\[\d+\]|\.[^.\[]+")
"""One step of a path of msgspec: `.name`, `[3]`, or `[...]` for a value of a map."""

_MAX_SHOWN = 20


def choices(hint: Any, path: str) -> str:
    """`'red', 'blue'`; empty when no enum and no literal is found there.

    Args:
        hint: lowered; of the whole.
        path: as msgspec wrote it, `$.lamps[3].colour`.
    """
    try:
        here: list[Any] = list(_plain([inspect.type_info(hint)]))
    except (TypeError, NameError):
        return ""  # as in `Fields.of`
    for step in STEP.findall(path[1:]):
        here = [inner for info in here for inner in _plain(_inside(info, step))]
    found = [short(value) for info in here for value in _allowed(info)]
    return ", ".join(found[:_MAX_SHOWN]) + (", …" if len(found) > _MAX_SHOWN else "")


def _plain(infos: Iterable[Any]) -> Iterator[Any]:
    """Without unions and annotations."""
    for info in infos:
        if isinstance(info, inspect.Metadata):
            yield from _plain([info.type])
        elif isinstance(info, inspect.UnionType):
            yield from _plain(info.types)
        else:
            yield info


def _inside(info: Any, step: str) -> list[Any]:
    if step.startswith("."):
        return [field.type for field in getattr(info, "fields", ()) if field.encode_name == step[1:]]
    if step == "[...]":
        return [info.value_type] if isinstance(info, inspect.DictType) else []
    if isinstance(info, inspect.TupleType):
        return list(info.item_types[int(step[1:-1]) :][:1])
    if hasattr(info, "item_type"):
        return [info.item_type]
    return [field.type for field in getattr(info, "fields", ())[int(step[1:-1]) :][:1]]  # a named tuple


def _allowed(info: Any) -> list[Any]:
    if isinstance(info, inspect.EnumType):
        return [member.value for member in info.cls]
    if isinstance(info, inspect.LiteralType):
        return list(info.values)
    if isinstance(info, inspect.DictType):  # msgspec names the map when a key is wrong
        return [value for key in _plain([info.key_type]) for value in _allowed(key)]
    return []
