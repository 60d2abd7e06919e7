"""`requirements.txt`, also with the hashes of `pip-compile` and `uv pip compile`.

https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ....errors import BuildError, ConfigError
from ..line import read_line
from ..needs import Needs

_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_INCLUDE = re.compile(r"(?:-r|--requirement)[\s=]*(.+)")


def read_requirements_txt(file: Path, project: Path, including: tuple[Path, ...] = ()) -> Needs:
    """`-r` is followed.

    Args:
        file: the requirements file.
        project: no file outside of this folder is read.
        including: files that are being read.

    Raises:
        BuildError: a line that no other machine could follow.
        ConfigError: an included file is missing, lies outside, or includes itself.
    """
    real = file.resolve()
    if real in including:
        raise ConfigError(f"{file} includes itself")
    if not real.is_relative_to(project.resolve()):
        raise ConfigError(f"{file} lies outside of the project {project}")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{including[-1]} includes {file}, which does not exist") from None
    except UnicodeDecodeError as error:
        raise BuildError(f"{file} is no text in UTF-8: {error}") from error
    needs = Needs(source=_shown(real, project))
    for number, line in logical_lines(text):
        if included := _INCLUDE.fullmatch(line):
            needs.add(read_requirements_txt(file.parent / included[1], project, (*including, real)))
        else:
            needs.add(read_line(line, f"{needs.source} line {number}", file.parent))
    return needs


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, from 1; continuations joined, comments and superfluous blanks removed."""
    begun: list[str] = []
    first = 0
    for number, raw in enumerate(text.splitlines(), 1):
        first = first if begun else number
        if raw.endswith("\\"):
            begun.append(raw[:-1])
            continue
        # A comment ends the line, also one that was continued.
        line = " ".join(_COMMENT.sub("", " ".join([*begun, raw])).split())
        begun = []
        if line:
            yield first, line
    if line := " ".join(_COMMENT.sub("", " ".join(begun)).split()):
        yield first, line


def _shown(path: Path, project: Path) -> str:
    return path.relative_to(project.resolve()).as_posix()
