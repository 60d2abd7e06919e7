"""Pickles that load in another process: code that is not installed travels inside."""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import site
import sys
import sysconfig
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import IntegrityError, ModelError
from ..manifest import ModelInfo
from .buffers import SUFFIX, Sink, mapped
from .process_bound import WAY_OUT, bound_kind, path_to
from .versions import minor, modules_of_distributions

ALLOW_PICKLE = "TIFFIN_ALLOW_PICKLE"

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
    """Writes one object, large arrays into a file beside it.

    Raises:
        ModelError: it cannot be pickled; says why.
    """
    import cloudpickle

    sink = Sink()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        """Takes no open file, which cloudpickle would read to its end."""

        def reducer_override(self, obj: Any) -> Any:
            refuse_bound(obj)
            return super().reducer_override(obj)

    with path.open("wb") as file, explained(obj), by_value():
        Pickler(file, protocol=5, buffer_callback=sink).dump(obj)
    sink.write(path.with_suffix(SUFFIX))


def load(path: Path) -> Any:
    """Reads what `dump` wrote. Runs code from the file: check its digest first.

    Large arrays are mapped: processes that load the same file share their memory, until one writes to them.
    """
    with path.open("rb") as file:
        return pickle.load(file, buffers=mapped(path.with_suffix(SUFFIX)))  # noqa: S301 - the caller has verified the digest


def pickle_options(path: Path) -> dict[str, Any]:
    """`bytecode: "3.11"` when a pickle carries code, which only that minor version of Python can run."""
    return {"bytecode": minor(platform.python_version())} if _holds_code(path) else {}


def pickles_allowed() -> bool:
    """False when `TIFFIN_ALLOW_PICKLE` is 0."""
    return os.environ.get(ALLOW_PICKLE, "1").strip().lower() not in {"0", "false", "no", "off"}


def check_allowed(tag: str) -> None:
    """Refuses pickles where the environment forbids them.

    Raises:
        ModelError: says how to do without one.
    """
    if not pickles_allowed():
        raise ModelError(
            f"{tag} is a pickle, which runs code when it is loaded, and {ALLOW_PICKLE} forbids that here; "
            "save it in a format without code (safetensors, XGBoost), or allow pickles if you trust its maker"
        )


def check_pickle(info: ModelInfo) -> None:
    """The last check before a framework unpickles; a manifest that denies being a pickle is not believed.

    Raises:
        ModelError: pickles are forbidden here, or another Python compiled its code, which can crash this.
        IntegrityError: the manifest says that it is no pickle.
    """
    tag = f"{info.name}:{info.version}"
    check_allowed(tag)
    if not info.pickled:
        raise IntegrityError(f"{tag} is a pickle and its manifest denies it: it was not made by tiffin")
    saved, now = info.options.get("bytecode"), minor(platform.python_version())
    if saved is not None and saved != now:
        raise ModelError(
            f"{tag} holds code that Python {saved} compiled and this is Python {now}: "
            f"run Python {saved}, or save the model again with this one"
        )


def _holds_code(path: Path) -> bool:
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            window = tail + chunk
            if any(mark in window for mark in _CODE_MARKS):
                return True
            tail = chunk[-32:]
    return False


class _BoundError(Exception):
    """An object belongs to this process."""


def refuse_bound(obj: Any) -> None:
    """Within `explained`: stops at what belongs to this process."""
    if kind := bound_kind(obj):
        raise _BoundError(kind)


@contextlib.contextmanager
def explained(obj: Any, name: str = "") -> Iterator[None]:
    """Turns a failure to pickle into a `ModelError`; errors of the disk pass.

    Args:
        obj: what is pickled.
        name: of the variable; empty: its class.
    """
    try:
        yield
    except OSError:
        raise
    except _BoundError as error:
        name = name or type(obj).__qualname__
        path = path_to(obj, lambda each: bool(bound_kind(each)), name)
        what = f"{path} is" if path != name else f"{name} is" if bound_kind(obj) else f"{name} holds"
        raise ModelError(
            f"{what} {error}, which belongs to this process and cannot be pickled: {WAY_OUT}"
        ) from error
    except Exception as error:
        raise ModelError(
            f"{type(obj).__qualname__} cannot be pickled: {type(error).__name__}: {error}; "
            "take out what belongs to this process (open files, locks, connections, generators)"
        ) from error


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
    if {"site-packages", "dist-packages"} & set(path.parts) or any(
        path.is_relative_to(root) for root in _roots()
    ):
        return True
    return top == __name__.partition(".")[0] or top in _distributed()


@cache
def _roots() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    roots = {Path(sysconfig.get_path(name)) for name in names} | {Path(site.getusersitepackages())}
    return tuple(roots | {root.resolve() for root in roots})


@cache
def _distributed() -> frozenset[str]:
    """Top-level names of installed distributions: editable ones lie outside site-packages."""
    return frozenset(modules_of_distributions())
