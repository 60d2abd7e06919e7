"""`[tool.poetry.dependencies]` without a `poetry.lock`: ranges that only Poetry can resolve."""

from __future__ import annotations

from pathlib import Path

from ..line import name_of
from ..lines import place, toml_key_line
from ..needs import Wanted
from ..toml import read_toml, table

_SECTION = "[tool.poetry.dependencies]"


def only_poetry(path: Path) -> list[Wanted]:
    """What it names, by its lines; nothing of it is read for a bundle. Empty when `[project]` says it.

    Args:
        path: `pyproject.toml`, which may be missing.

    Raises:
        BuildError: it is no TOML.
    """
    if not path.is_file():
        return []
    document = read_toml(path)
    if "dependencies" in table(document.get("project")):
        return []
    text = path.read_text(encoding="utf-8")
    names = table(table(table(document.get("tool")).get("poetry")).get("dependencies"))
    return [
        Wanted(name_of(name), place(path.name, toml_key_line(text, name, _SECTION)))
        for name in names
        if name.lower() != "python"
    ]
