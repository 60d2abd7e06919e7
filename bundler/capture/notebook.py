"""Reads a notebook: nbformat's JSON, versions 3 and 4, whose code cells are all that is wanted.

https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ...errors import ConfigError
from .cell import Cell

SUFFIX = ".ipynb"
_PYTHON = ("python", "ipython", "xpython")


def read_notebook(path: Path) -> list[Cell]:
    """The code cells in their order; numbers count every cell of the file, as an editor shows them.

    Raises:
        ConfigError: no file, no notebook, or one in another language.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    return cells_of(data, path)


def cells_of(data: bytes, path: Path) -> list[Cell]:
    """The same of what a file holds; the path is for people.

    Raises:
        ConfigError: no notebook, or one in another language.
    """
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no notebook: {error}; save it again in the notebook") from error
    cells = _cells(raw)
    if cells is None:
        raise ConfigError(f"{path} is no notebook: it has no list of cells")
    language = _language(raw)
    if language and not language.startswith(_PYTHON):
        raise ConfigError(f"{path} is a notebook in {language}; a service is written in Python")
    return [
        Cell(
            source=_text(cell.get("source", cell.get("input", ""))),
            number=number,
            id=str(cell.get("id", "")),
            tags=_tags(cell),
        )
        for number, cell in enumerate(cells, 1)
        if isinstance(cell, dict) and cell.get("cell_type") == "code"
    ]


def _cells(raw: Any) -> list[Any] | None:
    if not isinstance(raw, dict):
        return None
    if isinstance(raw.get("cells"), list):
        return list(raw["cells"])
    sheets = raw.get("worksheets")
    if isinstance(sheets, list) and all(isinstance(sheet, dict) for sheet in sheets):
        return [cell for sheet in sheets for cell in sheet.get("cells") or []]
    return None


def _language(raw: dict[str, Any]) -> str:
    facts = raw.get("metadata")
    for part, key in (("language_info", "name"), ("kernelspec", "language")):
        said = facts.get(part) if isinstance(facts, dict) else None
        if isinstance(said, dict) and isinstance(said.get(key), str):
            return str(said[key]).lower()
    return ""


def _text(source: Any) -> str:
    """One string, or a list of lines that carry their ends."""
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _tags(cell: dict[str, Any]) -> frozenset[str]:
    facts = cell.get("metadata")
    tags = facts.get("tags") if isinstance(facts, dict) else None
    return frozenset(str(tag).lower() for tag in tags) if isinstance(tags, list) else frozenset()
