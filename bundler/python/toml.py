"""Reading TOML files that other tools wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ...errors import BuildError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """
    Raises:
        BuildError: it is no TOML.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise BuildError(f"{path} is not TOML: {error}") from error


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """
    Raises:
        BuildError: it is no TOML.
    """
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BuildError(f"{where} is not TOML: {error}") from error
    return found


def table(value: Any) -> dict[str, Any]:
    """The value when it is a table, else an empty one: what another tool wrote is not ours to judge."""
    return value if isinstance(value, dict) else {}


def texts(value: Any, where: str) -> list[str]:
    """The texts of an array.

    Raises:
        BuildError: it is none: one text in its place would be read letter by letter.
    """
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BuildError(f"{where}: {value!r} is no list of requirements")
    return value


def rows(value: Any) -> list[dict[str, Any]]:
    """The tables of an array."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
