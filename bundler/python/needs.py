"""What a project asks for, whatever file says it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from .lockfile import Locked

_PARTS = re.compile(r"[-_.]+")


def canonical(name: str) -> str:
    """PEP 503: `Scikit_Learn` is `scikit-learn`."""
    return _PARTS.sub("-", name).lower()


class Wanted(msgspec.Struct, frozen=True):
    """One requirement."""

    text: str
    """As it stands in `requirements.in`: `scikit-learn>=1.4 ; python_version < '3.13'`"""
    where: str
    """Who says so, for people: `requirements.txt line 3`, `model iris:6f3k2q`."""


class Index(msgspec.Struct, frozen=True):
    """A package index that has a name: https://docs.astral.sh/uv/concepts/indexes/."""

    name: str
    url: str
    """Without user or password."""
    default: bool = False
    """Whether it stands in for PyPI."""
    explicit: bool = False
    """Whether only the packages that name it come from it."""


class Local(msgspec.Struct, frozen=True):
    """A package that lies on this machine."""

    path: Path
    """A folder with its source, or a wheel."""
    where: str
    name: str = ""
    """Canonical; empty: its wheel tells."""
    extras: tuple[str, ...] = ()
    marker: str = ""
    editable: bool = False


class Needs(msgspec.Struct):
    """What one source asks for."""

    source: str = ""
    """For people: `uv.lock (group serve)`."""
    wanted: list[Wanted] = []
    options: list[str] = []
    """Lines such as `--extra-index-url https://…` and `--only-binary :all:`."""
    pinned: dict[str, Locked] = {}
    """Of a lock: canonical name to what must be kept as it is, hashes included."""
    locals: list[Local] = []
    indexes: list[Index] = []
    routed: dict[str, str] = {}
    """Canonical name to the name of the index that it must come from."""
    notes: list[str] = []
    """What the user should know; a sentence each."""

    def add(self, more: Needs) -> None:
        """Takes over all of another; what is there stays first."""
        self.wanted += more.wanted
        self.options += [line for line in more.options if line not in self.options]
        self.pinned = {**more.pinned, **self.pinned}
        self.locals += more.locals
        self.indexes += [index for index in more.indexes if index not in self.indexes]
        self.routed = {**more.routed, **self.routed}
        self.notes += more.notes

    def pin(self, package: Locked, where: str) -> None:
        """Adds a package of a lock."""
        self.pinned[package.name] = package
        address = f" @ {package.url}" if package.url else f"=={package.version}"
        marker = f" ; {package.marker}" if package.marker else ""
        self.wanted.append(Wanted(f"{package.name}{address}{marker}", where))
