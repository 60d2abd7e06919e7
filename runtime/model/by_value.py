"""Pickles that load in another process: code that is not installed there travels inside the pickle."""

from __future__ import annotations

import contextlib
import pickle
import site
import sys
import sysconfig
import threading
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from ...errors import ModelError

_lock = threading.Lock()
# What cloudpickle calls to rebuild a function or class; its presence says that bytecode is inside.
_CODE_MARKS = (b"_make_function", b"_make_skeleton_class", b"_builtin_type")


@contextlib.contextmanager
def by_value() -> Iterator[None]:
    """Within, cloudpickle stores classes and functions of modules that are not installed by value."""
    import cloudpickle

    with _lock:  # the registry is global: another thread must not take our modules out in the middle
        already = set(cloudpickle.list_registry_pickle_by_value())
        added = []
        try:
            for name, module in list(sys.modules.items()):
                if _registrable(name, module) and name not in already:
                    cloudpickle.register_pickle_by_value(module)
                    added.append(module)
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)


def dump(obj: Any, path: Path) -> None:
    """Writes one object.

    Raises:
        ModelError: it cannot be pickled; says why.
    """
    import cloudpickle

    with path.open("wb") as file, explained(obj), by_value():
        cloudpickle.dump(obj, file, protocol=5)


def load(path: Path) -> Any:
    """Reads what `dump` wrote. Runs code from the file: check its digest first."""
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301 - the caller has verified the digest


def holds_code(path: Path) -> bool:
    """Whether a pickle carries bytecode, which only the same minor version of Python can run."""
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            window = tail + chunk
            if any(mark in window for mark in _CODE_MARKS):
                return True
            tail = chunk[-32:]
    return False


@contextlib.contextmanager
def explained(obj: Any) -> Iterator[None]:
    """Turns a failure to pickle into a `ModelError`; errors of the disk pass."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise ModelError(
            f"{type(obj).__qualname__} cannot be pickled: {type(error).__name__}: {error}; "
            "take out what belongs to this process (open files, locks, connections, generators)"
        ) from error


def needs_value(obj: Any) -> bool:
    """Whether an object graph uses a class or function that another process could not import.

    Walks attributes and containers, not arrays: what an estimator is composed of, not its data.
    """
    seen: set[int] = set()
    waiting = [obj]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        named = item if isinstance(item, (type, FunctionType)) else type(item)
        if not importable(named):
            return True
        if isinstance(item, dict):
            waiting += [*item.values()]
        elif isinstance(item, (list, tuple, set, frozenset)):
            waiting += item
        elif not isinstance(item, (type, FunctionType, ModuleType)):
            waiting += [*getattr(item, "__dict__", {}).values()]
    return False


def importable(named: Any) -> bool:
    """Whether a class or function is reached by its import path from any process of this environment."""
    module = getattr(named, "__module__", None) or ""
    name = getattr(named, "__qualname__", "")
    if "<" in name or (module in sys.modules and _registrable(module, sys.modules[module])):
        return False
    return module != "__main__"


def _registrable(name: str, module: Any) -> bool:
    """A module from a file outside the installed ones, found under its own name."""
    if name == "__main__" or getattr(module, "__name__", None) != name:
        return False  # cloudpickle takes __main__ by value without being told
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and not _installed(name.partition(".")[0], file)


@cache
def _installed(top: str, file: str) -> bool:
    path = Path(file)
    if {"site-packages", "dist-packages"} & set(path.parts) or any(path.is_relative_to(root) for root in _roots()):
        return True
    return top == __name__.partition(".")[0] or top in _distributed()


@cache
def _roots() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    roots = {Path(sysconfig.get_path(name)) for name in names} | {Path(site.getusersitepackages())}
    return tuple(roots | {root.resolve() for root in roots})


@cache
def _distributed() -> frozenset[str]:
    """Top-level names that belong to an installed distribution: editable installs lie outside site-packages."""
    return frozenset(packages_distributions())
