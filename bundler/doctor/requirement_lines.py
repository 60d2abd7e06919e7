"""What a project asks for, line by line with its place, so that a finding can name it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ...errors import TiffinError
from ...runtime.service.bundlefile import BUNDLEFILE, PYPROJECT, BundleFile
from ..python.environment import environment
from ..python.line import name_of
from ..python.readers.poetry import only_poetry
from ..python.sources import read_source, source_file

# `==1.26.4.*` is conda's `=1.26.4`: there are no others.
_PINNED = re.compile(r"===?\s*(?:[^\s,;*]+|\d+(?:\.\d+){2,}\.\*)\s*(?:;.*)?$|\s@\s")


class Requirement(NamedTuple):
    name: str
    """Canonical."""
    text: str
    where: str
    """`requirements.txt line 3`"""

    @property
    def pinned(self) -> bool:
        """One version, or an address: the same on every day."""
        return _PINNED.search(self.text) is not None


class Asked(NamedTuple):
    """What the project's files ask for."""

    source: str = ""
    """The file that counts; empty: there is none."""
    lines: tuple[Requirement, ...] = ()
    problem: str = ""
    """Why it cannot be read, which stops a build."""
    poetry: tuple[Requirement, ...] = ()
    """Without a file that counts: what Poetry alone could tell, and nobody reads."""

    @property
    def locked(self) -> bool:
        """Whether it is a lock of another tool."""
        return self.source.endswith(".lock") or self.source.startswith("pylock.")


NOTHING = Asked()


def asked_by(folder: Path, wishes: BundleFile) -> Asked:
    """Of the bundlefile's `python:` and of the file that a build would read.

    Args:
        folder: of the project.
        wishes: its bundlefile.
    """
    own = [
        Requirement(name_of(text), text, f"{BUNDLEFILE} (python.packages)") for text in wishes.python.packages
    ]
    source = wishes.python.requirements
    try:
        where = environment(wishes.python.version)
        file = source_file(folder, wishes.python)
        if file is None:
            named = only_poetry(folder / PYPROJECT)
            return Asked(
                lines=tuple(own), poetry=tuple(Requirement(each.text, "", each.where) for each in named)
            )
        source = file.name
        needs = read_source(file, folder, wishes.python, where)
    except TiffinError as error:
        return Asked(source, tuple(own), str(error))
    own += [
        Requirement(name_of(each.text), each.text, each.where)
        for each in needs.wanted
        if where.holds(_marker(each.text))
    ]
    return Asked(source, tuple(own))


def _marker(text: str) -> str:
    """An address may have a `;` of its own."""
    return text.partition(" ;" if "@" in text else ";")[2].strip()
