"""Classes by their import path, `module:QualName`."""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from typing import Any

from ...errors import ModelError


def path_of(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def has_path(named: Any) -> bool:
    """Whether a class or function can be reached by its path from a process that has its module."""
    return "<" not in getattr(named, "__qualname__", "<") and named.__module__ != "__main__"


def find_class(path: str, parents: tuple[type, ...]) -> Any:
    """The class at `module:QualName`.

    Args:
        path: out of a manifest, so it may name anything.
        parents: it must derive from one of them: no other class is ever constructed.

    Raises:
        ModelError: it cannot be imported; says what to do.
    """
    module, colon, name = path.partition(":")
    if not colon or not name:
        raise ModelError(f"bad class {path!r}: write 'module:Class'")
    found = imported(module, name, "class")
    if not isinstance(found, type) or not issubclass(found, parents):
        names = " or ".join(parent.__qualname__ for parent in parents)
        raise ModelError(f"{path!r} is no class that derives from {names}")
    return found


def imported(module: str, name: str, kind: str) -> Any:
    """What `module:name` leads to.

    Args:
        kind: what the caller expects there, for the error: `class`.

    Raises:
        ModelError: it cannot be imported; says what to do.
    """
    try:
        return reduce(getattr, name.split("."), import_module(module))
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"cannot import the model's {kind} {f'{module}:{name}'!r}: {error}; run where "
            f"{module.partition('.')[0]!r} can be imported (the project's folder, or with its package "
            "installed)"
        ) from error
