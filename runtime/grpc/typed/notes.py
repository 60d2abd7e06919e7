"""Comments of fields: what a hint says that the type of the field does not."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Sequence
from typing import Any

from ...schema.encode import json_bytes

_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "multiple_of": "a multiple of"}
_LENGTHS = {"min_length": "at least", "max_length": "at most"}
_LONGEST_DEFAULT = 60


def default_note(default: Any) -> str:
    """`default: 0.5`"""
    try:
        text = json_bytes(default).decode()
    except (TypeError, ValueError, RecursionError):
        return ""
    return f"default: {text}" if len(text) <= _LONGEST_DEFAULT else "has a default"


def class_doc(cls: Any) -> str:
    """The docstring of a class, unless it is the one that dataclasses write themselves."""
    origin = typing.get_origin(cls) or cls
    doc = origin.__dict__.get("__doc__") or ""
    return "" if doc.startswith(f"{origin.__name__}(") else inspect.cleandoc(doc)


def one_of(values: Sequence[Any]) -> str:
    """`one of 'a', 'b'`"""
    return "one of " + ", ".join(map(repr, values))


def bounds(info: Any) -> str:
    """`at least 0, below 10`, of a number as msgspec describes it."""
    found = [(word, getattr(info, name)) for name, word in _BOUNDS.items()]
    return ", ".join(f"{word} {value}" for word, value in found if value is not None)


def lengths(info: Any) -> str:
    """`at least 1 long`, of what has a length."""
    found = [(word, getattr(info, name, None)) for name, word in _LENGTHS.items()]
    return ", ".join(f"{word} {value} long" for word, value in found if value is not None)


def text_note(info: Any) -> str:
    """Length and pattern of a text."""
    pattern = f"matches {info.pattern}" if info.pattern else ""
    return ", ".join(filter(None, [lengths(info), pattern]))
