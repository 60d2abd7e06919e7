"""A cell of code, as it was written, and the Python in it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property

from .magics import plain

TAGS = frozenset({"service", "tiffin"})
"""Tags of a cell that stands for the service."""
MARK = re.compile(r"\s*(?:#\s*tiffin\s*:\s*service\b|%%bundle\s+service\b)")
"""What such a cell may begin with instead."""
_NAMED = re.compile(r"\s*%%bundle\s+service\b[^\n]*\s--name(?:=|\s+)(\S+)")


@dataclass(frozen=True)
class Cell:
    """Code that is executed in one piece."""

    source: str
    """As it was typed, with magics."""
    number: int
    """Its place, as a person counts: of the cells of the file, or of the prompts of a session. From 1."""
    id: str = ""
    """Of the file; empty: it has none."""
    tags: frozenset[str] = frozenset()
    file: str = ""
    """Name of the script that it is all of; empty: it is a cell, or was typed at a prompt."""

    @cached_property
    def python(self) -> str | None:
        """The same number of lines, magics and shell commands taken out; None when that is not Python."""
        return self.source if self.file else plain(self.source)

    @property
    def marked(self) -> bool:
        """Whether the user says that it belongs to the service."""
        return bool(self.tags & TAGS) or (not self.file and MARK.match(self.source) is not None)

    def bundle_name(self, service: str) -> str:
        """What bundles of a class are called, when this cell defines it and its first line says so."""
        said = _NAMED.match(self.source)
        defined = said and any(
            isinstance(node, ast.ClassDef) and node.name == service
            for node in ast.parse(self.python or "").body
        )
        return said[1] if said and defined else ""

    @property
    def name(self) -> str:
        """For people."""
        return self.file or f"cell {self.number}"
