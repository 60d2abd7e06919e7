"""Plain values → the user's types: how arguments and results that crossed a socket get their classes back."""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from .explain import explain
from .fields import Fields
from .lower import UnsupportedHintError, dec_hook, lower


def convert(value: Any, hint: Any) -> Any:
    """Rebuilds dataclasses, Structs, TypedDicts, pydantic models, enums and tuples from maps and lists.

    Args:
        value: None, numbers, strings, bytes, lists and maps; arrays, tensors, frames, images and files as
            they are.
        hint: what it was before; `Any`, and hints that describe no such class, give the value back as it is.

    Raises:
        InvalidInputError: the value does not fit; `.path` says where.
    """
    lowered, fields = _lowered(hint)
    if lowered is Any:
        return value
    try:
        rebuilt = msgspec.convert(value, lowered, dec_hook=dec_hook)
    except (msgspec.ValidationError, RecursionError) as error:
        raise explain(error, (), "value", hint=lowered) from error
    if fields is not None:
        fields.settle(rebuilt, value, "$")
    return rebuilt


def _lowered(hint: Any) -> tuple[Any, Fields | None]:
    try:
        return _cached(hint)
    except TypeError:
        return _fresh(hint)


def _fresh(hint: Any) -> tuple[Any, Fields | None]:
    try:
        lowered = lower(hint)
    except UnsupportedHintError:
        return Any, None
    return lowered, Fields.of(lowered)


_cached = lru_cache(maxsize=1024)(_fresh)


def hints_of(function: Any) -> dict[str, Any]:
    """Parameter, and `return`, to hint; empty when they cannot be read: they then ask for nothing."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, ValueError, AttributeError):
        return {}


def has_class(hint: Any) -> bool:
    """Whether values of this hint cross a socket as maps or lists and want their class back."""
    return any(_arrives_as_map(part) for part in _parts(hint))


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    for part in typing.get_args(hint):
        yield from _parts(part)


def _arrives_as_map(hint: Any) -> bool:
    if not isinstance(hint, type):
        return False
    if dataclasses.is_dataclass(hint) or issubclass(hint, (msgspec.Struct, enum.Enum)):
        return not hint.__module__.endswith("runtime.schema.file")
    return hasattr(hint, "__pydantic_validator__") or (issubclass(hint, tuple) and hasattr(hint, "_fields"))
