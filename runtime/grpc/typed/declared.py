"""What a class declares: its fields in order, their defaults, its name in messages."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import inspect

from ...schema.encode import to_plain
from .classes import Filler
from .names import type_name


def declared(info: Any) -> Sequence[Any]:
    """Its fields in the order of the class: msgspec gives those of TypedDicts in any."""
    if not isinstance(info, inspect.TypedDictType):
        return typing.cast("Sequence[Any]", info.fields)
    order = list((typing.get_origin(info.cls) or info.cls).__annotations__)
    return sorted(info.fields, key=lambda field: order.index(field.name))


def default_of(field: Any) -> Any:
    """msgspec.NODEFAULT: it has none."""
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else msgspec.NODEFAULT


def filler_of(field: Any) -> Filler | None:
    """Makes the value of a field that is left out; None: it must be there."""
    return None if field.required else Filler(lambda: to_plain(default_of(field)))


def class_name(cls: Any) -> str:
    """`Box[int]` → `BoxInt`."""
    origin = typing.get_origin(cls) or cls
    arguments = "".join(type_name(getattr(each, "__name__", str(each))) for each in typing.get_args(cls))
    return type_name(origin.__name__) + arguments
