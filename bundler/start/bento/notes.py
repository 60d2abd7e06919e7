"""What was carried over, and what was not: one sentence each, with file and line."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Said:
    where: str
    """`bentofile.yaml:7`"""
    what: str
    """A sentence."""


@dataclass
class Notes:
    carried: list[Said] = field(default_factory=list)
    left: list[Said] = field(default_factory=list)
    """Needs a person."""

    def took(self, where: str, what: str) -> None:
        self.carried.append(Said(where, what))

    def leave(self, where: str, what: str) -> None:
        if (said := Said(where, what)) not in self.left:
            self.left.append(said)
