"""What a project asks for, line by line with its place, so that a finding can name it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

from ...runtime.service.bundlefile import BUNDLEFILE, PYPROJECT, BundleFile
from ..python.line import name_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LOCK_FILES = ("uv.lock", "pylock.toml", "poetry.lock")
CONDA_FILES = ("environment.yml", "environment.yaml")
_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_INCLUDE = re.compile(r"(?:-r|--requirement)[\s=]*(.+)")
_PINNED = re.compile(r"===?\s*[^\s,;*]+\s*(?:;.*|--hash.*)?$|\s@\s")


class Requirement(NamedTuple):
    name: str
    """Canonical; empty for an option or a local path."""
    text: str
    where: str
    """`requirements.txt:3`"""

    @property
    def pinned(self) -> bool:
        """One version, or an address: the same on every day."""
        return _PINNED.search(self.text) is not None


def requirement_lines(folder: Path, wishes: BundleFile) -> list[Requirement]:
    """Of the bundlefile's `python:`, and of the requirements file, or else `[project]` of pyproject.toml.

    A file that is missing is passed over: building says so itself. What a lock or conda's file asks for has
    no lines here.
    """
    found = [
        Requirement(name_of(text), text, f"{BUNDLEFILE} (python.packages)") for text in wishes.python.packages
    ]
    name = wishes.python.requirements or "requirements.txt"
    if name.endswith((".txt", ".in")) and (folder / name).is_file():
        return found + _file(folder, name, ())
    return found + (_pyproject(folder) if wishes.python.requirements in {"", PYPROJECT} else [])


def lock_file(folder: Path, wishes: BundleFile) -> str:
    """Name of a lock that the bundle is built from; empty when there is none."""
    named = wishes.python.requirements
    if named:
        return named if named.endswith((".lock", "pylock.toml")) else ""
    return next((name for name in LOCK_FILES if (folder / name).is_file()), "")


def _file(folder: Path, name: str, including: tuple[str, ...]) -> list[Requirement]:
    try:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for number, raw in enumerate(lines, 1):
        line = " ".join(_COMMENT.sub("", raw.removesuffix("\\")).split())
        if not line or line.startswith("--hash"):
            continue
        included = _INCLUDE.fullmatch(line)
        if included and included[1] not in including:
            below = (Path(name).parent / included[1]).as_posix()
            found += _file(folder, below, (*including, name))
        elif not line.startswith("-"):
            found.append(Requirement(name_of(line), line, f"{name}:{number}"))
    return found


def _pyproject(folder: Path) -> list[Requirement]:
    try:
        table = tomllib.loads((folder / PYPROJECT).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return []
    lines = table.get("project", {}).get("dependencies", [])
    return [Requirement(name_of(line), line, PYPROJECT) for line in lines if isinstance(line, str)]
