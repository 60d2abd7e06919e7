"""Cells of a notebook, read from a file or executed as a kernel would."""

from __future__ import annotations

import json
import linecache
import sys
import warnings
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

from tiffin.bundler.capture.cell import Cell
from tiffin.bundler.capture.live import LiveSession
from tiffin.bundler.capture.source import Source, source_of

IMPORTS = "import numpy as np\nimport tiffin"


def service(body: str, *, name: str = "Echo") -> str:
    """A cell with a service whose only api runs `body`."""
    head = f"@tiffin.service\nclass {name}:\n    @tiffin.api\n    def say(self, text: str) -> str:\n"
    return head + indent(body, " " * 8) + "\n"


def sections(path: Path) -> dict[str, tuple[str, str, str]]:
    """`=== name`, a cell, and perhaps `--- answer` and a body: name to cell, answer and body."""
    found = {}
    for part in path.read_text(encoding="utf-8").split("=== ")[1:]:
        name, _, rest = part.partition("\n")
        cell, _, more = rest.partition("\n--- ")
        answer, _, body = more.partition("\n")
        found[name] = (cell.rstrip("\n"), answer, body.rstrip("\n"))
    return found


def cells(*sources: str) -> list[Cell]:
    return [Cell(source, number) for number, source in enumerate(sources, 1)]


def from_file(*sources: str, name: str = "") -> Source:
    """As `bundle build` of a notebook reads it: nothing is executed."""
    return source_of(cells(IMPORTS, *sources), name)


def execute(*sources: str, namespace: dict[str, Any] | None = None) -> dict[str, Any]:
    """Runs cells one after the other; what one raises ends only that one. Gives the session's names."""
    names: dict[str, Any] = {"__name__": "__main__"} if namespace is None else namespace
    for number, cell in enumerate(cells(*sources)):
        text, file = cell.python or "", f"<cell-of-test-{number}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        try:
            exec(compile(text, file, "exec"), names)
        except ZeroDivisionError:
            continue
    return names


def from_kernel(*sources: str, name: str = "Echo") -> tuple[Source, dict[str, Any]]:
    """As `tiffin.build(Echo)` sees it in a kernel that has executed these cells."""
    namespace = execute(IMPORTS, *sources)
    return source_of(cells(IMPORTS, *sources), name, session=LiveSession(namespace)), namespace


def said(source: Source, text: str = "x", name: str = "Echo") -> Any:
    """What the service of a captured module answers."""
    module = ModuleType("captured_by_test")
    sys.modules[module.__name__] = module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            code = compile(source.text, "<captured>", "exec")
        exec(code, vars(module))
        return vars(module)[name]().say(text)
    finally:
        del sys.modules[module.__name__]


def notebook(path: Path, *sources: str | tuple[str, list[str]]) -> Path:
    """Writes an `.ipynb`; a pair is a cell and its tags."""
    written = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {"tags": each[1]} if isinstance(each, tuple) else {},
            "execution_count": None,
            "outputs": [],
            "source": (each[0] if isinstance(each, tuple) else each).splitlines(keepends=True),
        }
        for number, each in enumerate(sources, 1)
    ]
    facts = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    text = json.dumps({"cells": written, "metadata": facts, "nbformat": 4, "nbformat_minor": 5})
    path.write_text(text, encoding="utf-8")
    return path
