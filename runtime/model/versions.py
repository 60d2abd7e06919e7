"""Which versions a model was saved with, and whether this process has the same."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version

PYTHON = "python"
TIFFIN = "tiffin"


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Distribution to version, for those that are installed."""
    found = {}
    for name in distributions:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def distributions_of(modules: Iterable[str]) -> list[str]:
    """The distributions that bring these top-level modules; slow (it reads every installed distribution)."""
    table = modules_of_distributions()
    return sorted({name for module in modules for name in table.get(module, [])})


def modules_of_distributions() -> dict[str, list[str]]:
    """Top-level module to the distributions that bring it.

    Not `importlib.metadata.packages_distributions`: in Python 3.10 it knows only what setuptools has built.
    """
    table: dict[str, list[str]] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        for module in _top_levels(distribution) if name else ():
            table.setdefault(module, []).append(name)
    return table


def _top_levels(distribution: Distribution) -> set[str]:
    if told := distribution.read_text("top_level.txt"):
        return set(told.split())
    files = distribution.files or []
    return {file.parts[0].partition(".")[0] for file in files if file.suffix in {".py", ".so", ".pyd"}}


def here() -> dict[str, str]:
    """Versions of Python and of tiffin."""
    return {PYTHON: platform.python_version(), **versions_of([TIFFIN])}


def differences(saved: dict[str, str]) -> list[str]:
    """`scikit-learn 1.4.0 (here 1.5.1)` for each that differs; patch versions of Python do not count."""
    found = []
    for name, old in saved.items():
        if name == TIFFIN:
            continue
        now = platform.python_version() if name == PYTHON else versions_of([name]).get(name, "none")
        if (minor(old) != minor(now)) if name == PYTHON else (old != now):
            found.append(f"{name} {old} (here {now})")
    return found


def minor(text: str) -> str:
    """`3.11` of `3.11.7`"""
    return ".".join(text.split(".")[:2])
