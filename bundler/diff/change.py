"""What differs: named changes of an interface, and tables of what was added, removed and changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

Role = Literal["input", "output"]
Kind = Literal["narrower", "wider", "other", "removed", "harmless"]


class Fact(NamedTuple):
    """How one place of a type differs, whoever gives and whoever takes the value."""

    path: str
    kind: Kind
    """`narrower`: fewer values are possible; `wider`: more; `other`: neither; `removed`: a field is gone."""
    what: str


class Change(msgspec.Struct, kw_only=True):
    """One change of an interface."""

    path: str
    """`POST /classify: input flowers`"""
    what: str
    breaking: bool
    """Whether callers of the old one may fail with the new one."""


class Delta(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Two tables of name to text."""

    added: dict[str, str] = {}
    removed: dict[str, str] = {}
    changed: dict[str, list[str]] = {}
    """Name to old and new."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def delta(old: Mapping[str, Any], new: Mapping[str, Any]) -> Delta:
    """Names in the order of the alphabet; values are compared as they are (NaN is NaN) and shown as text."""
    return Delta(
        added={name: words(new[name]) for name in sorted(new.keys() - old.keys())},
        removed={name: words(old[name]) for name in sorted(old.keys() - new.keys())},
        changed={
            name: [words(old[name]), words(new[name])]
            for name in sorted(old.keys() & new.keys())
            if old[name] != new[name] and not (old[name] != old[name] and new[name] != new[name])
        },
    )


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"forest.workers": 2}` of `{"forest": {"workers": 2}}`."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            found |= flat(item, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = item
    return found


def as_changes(where: str, role: Role, facts: list[Fact]) -> list[Change]:
    """Facts about a type, as callers feel them.

    What callers send may be accepted more freely, and what they get may be less varied; the other way round
    breaks them.
    """
    hurts = {"narrower", "other", "removed"} if role == "input" else {"wider", "other", "removed"}
    return [Change(path=f"{where}{path}", what=what, breaking=kind in hurts) for path, kind, what in facts]


def words(value: Any) -> str:
    """A value in a line."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value, enc_hook=str).decode()
