"""What IPython adds to Python: `%magic`, `%%cell magic`, `!command`, `help?`.

They are taken out, line for line, so that what is left has the line numbers of the cell. A statement that
takes takes its value from one (`files = !ls`) keeps a call of `get_ipython`, by which it is known as one that
cannot be run elsewhere.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

SHELL = "get_ipython"
"""Name by which IPython's own form of a magic calls the shell."""
_RUN_BODY = frozenset({"time", "capture", "prun", "bundle", "memit", "mprun", "px", "script_time"})
"""Cell magics whose body is Python that binds names in the session."""
_CELL = re.compile(r"\s*%%(\w*)")
_TIMED = re.compile(r"(\s*)((?:\w[\w\s,.\[\]]*=\s*)?)%time\s+(.*)$")
_ASSIGNED = re.compile(r"(\s*)([\w\s,.\[\]'\"]+?)\s*=\s*[%!].*$")
_LINE = re.compile(r"(\s*)(?:[%!?].*|[\w.%]+\?{1,2}\s*;?\s*)$")


def plain(source: str) -> str | None:
    """The Python of a cell.

    Args:
        source: as it was typed.

    Returns:
        As many lines; None when it is no Python even without its magics.
    """
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return ""
    if match := _CELL.match(lines[first]):
        if match[1] not in _RUN_BODY:
            return "\n" * len(lines)
        lines[first] = ""
    indent = re.match(r"[ \t]*", lines[first])
    if indent and indent[0]:  # pasted from inside of a function; IPython takes it so
        lines = [line.removeprefix(indent[0]) for line in lines]
    # Python says where it stops to understand; a magic there is taken out, and the rest looked at again.
    for _ in range(len(lines) + 1):
        text = "\n".join(lines) + "\n"
        try:
            with _quiet():
                compile(text, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except SyntaxError as error:
            at = (error.lineno or 0) - 1
            if not 0 <= at < len(lines) or not _take_out(lines, at):
                return None
        except (ValueError, RecursionError, MemoryError):  # null bytes, thousands of brackets
            return None
        else:
            return text
    return None


def parse(text: str) -> ast.Module:
    """The tree of what `plain` gave; what Python warns of was said when the cell was executed."""
    with _quiet():
        return ast.parse(text)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _take_out(lines: list[str], at: int) -> bool:
    line = lines[at]
    if match := _TIMED.match(line):
        lines[at] = f"{match[1]}{match[2]}{match[3]}"
        return True
    if match := _LINE.match(line):
        lines[at] = f"{match[1]}pass"
    elif match := _ASSIGNED.match(line):
        lines[at] = f"{match[1]}{match[2]} = {SHELL}()"
    else:
        return False
    while line.endswith("\\") and at + 1 < len(lines):
        at += 1
        line, lines[at] = lines[at], ""
    return True
