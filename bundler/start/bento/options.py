"""The build options of a BentoML project, each with its line: `bentofile.yaml` or pyproject.toml.

Fields: docs.bentoml.com, "Bento build options". They are the same in `[tool.bentoml.build]`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ....errors import ConfigError
from .notes import Notes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BENTOFILES = ("bentofile.yaml", "bentofile.yml")
PYPROJECT = "pyproject.toml"
IGNORE = ".bentoignore"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class BuildOptions:
    file: str
    """Name; empty: the project has none, only code."""
    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    """Dotted key to its line, from 1 on: `docker.distro`."""
    dependencies: tuple[str, ...] = ()
    """`[project] dependencies`, which BentoML adds to the packages."""

    def where(self, key: str) -> str:
        """`bentofile.yaml:7`; of the nearest key above it that is known."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return f"{self.file}:{self.lines[key]}" if key else self.file


def read_options(folder: Path) -> BuildOptions:
    """
    Raises:
        ConfigError: the file is damaged, or no mapping.
    """
    for name in BENTOFILES:
        if (folder / name).is_file():
            return _yaml(folder / name)
    if (folder / PYPROJECT).is_file():
        return _toml(folder / PYPROJECT)
    return BuildOptions("")


def _yaml(path: Path) -> BuildOptions:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path} is larger than a build file can be")
        text = path.read_text(encoding="utf-8")
        values = yaml.safe_load(text) or {}
        root = yaml.compose(text, yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values at the top, got {type(values).__name__}")
    lines: dict[str, int] = {}
    if isinstance(root, yaml.MappingNode):
        _mark(root, "", lines)
    return BuildOptions(path.name, values, lines)


def _mark(node: yaml.MappingNode, prefix: str, lines: dict[str, int]) -> None:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        lines[name] = key.start_mark.line + 1
        if isinstance(value, yaml.MappingNode):
            _mark(value, f"{name}.", lines)


def _toml(path: Path) -> BuildOptions:
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    values = table.get("tool", {}).get("bentoml", {}).get("build", {})
    dependencies = table.get("project", {}).get("dependencies", [])
    if not isinstance(values, dict) or not values:
        return BuildOptions("", dependencies=tuple(map(str, dependencies)))
    return BuildOptions(path.name, values, _toml_lines(text), tuple(map(str, dependencies)))


def _toml_lines(text: str) -> dict[str, int]:
    """Keys below `[tool.bentoml.build]`, by the text of their lines: tomllib tells no places."""
    lines: dict[str, int] = {}
    prefix: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            name = header[1].replace('"', "")
            inside = name == "tool.bentoml.build" or name.startswith("tool.bentoml.build.")
            prefix = name.removeprefix("tool.bentoml.build").lstrip(".") if inside else None
            if prefix:
                lines.setdefault(prefix, number)
        elif prefix is not None and (key := re.match(r"\s*\"?([A-Za-z0-9_.-]+)\"?\s*=", line)):
            lines.setdefault(f"{prefix}.{key[1]}".lstrip("."), number)
    return lines


def several(value: Any, where: str, notes: Notes) -> list[Any]:
    """A list, or one word without the brackets, which must not fall into its letters."""
    if value is None or isinstance(value, list):
        return value or []
    if isinstance(value, str):
        return [value]
    notes.leave(where, f"a list belongs here, and this is {value!r}")
    return []


def mapping(value: Any, where: str, notes: Notes) -> dict[Any, Any]:
    if value is None or isinstance(value, dict):
        return value or {}
    notes.leave(where, f"keys and values belong here, and this is {value!r}")
    return {}


def text_of(folder: Path, name: str, what: str, where: str, notes: Notes) -> str | None:
    """Of a file of the project; None: it cannot be read, which is told."""
    try:
        return (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        notes.leave(where, f"the {what} {Path(name).as_posix()} cannot be read")
        return None
