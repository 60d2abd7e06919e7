"""On which line of a file an entry stands, so that messages can name it: parsers keep that to themselves."""

from __future__ import annotations

import yaml


def toml_line(text: str, value: str, section: str = "") -> int:
    """The line of a text in quotes, from 1; 0: it is written in another way, with escapes.

    Args:
        text: of the file.
        value: the text.
        section: `[project]`: looked for behind this header, where there is one.
    """
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line.strip() == section), 0)
    for number, line in enumerate(lines[start:], start + 1):
        if f'"{value}"' in line or f"'{value}'" in line:
            return number
    return 0


def toml_key_line(text: str, key: str, section: str) -> int:
    """The line of a key of a table, from 1; 0: the table is written in another way."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            inside = stripped == section
        elif inside and stripped.partition("=")[0].strip().strip("\"'") == key:
            return number
    return 0


def yaml_lines(text: str, key: str) -> list[int | list[int]]:
    """The lines of the entries of a list of the topmost table, from 1; of an entry that is a table with one
    list in it, the lines of that list.

    Args:
        text: YAML that can be read.
        key: of the list.

    Returns:
        Empty when the list comes from elsewhere: `<<: *base`.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    found = next((value for name, value in reversed(pairs) if name.value == key), None)  # the last counts
    return [_lines(node) for node in found.value] if isinstance(found, yaml.SequenceNode) else []


def _lines(node: yaml.Node) -> int | list[int]:
    if isinstance(node, yaml.MappingNode):
        lists = [value for _, value in node.value if isinstance(value, yaml.SequenceNode)]
        return [entry.start_mark.line + 1 for each in lists for entry in each.value]
    return int(node.start_mark.line) + 1


def place(name: str, line: int, more: str = "") -> str:
    """`pyproject.toml line 7 (extra gpu)`"""
    return name + (f" line {line}" if line else "") + (f" ({more})" if more else "")
