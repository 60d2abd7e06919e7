"""A script that runs now, as one cell: what of it has been executed."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from ...errors import BuildError
from ...runtime.service.bundlefile import find_bundlefile
from ...runtime.service.load import SERVICE_FILE
from .cell import Cell
from .magics import parse

_PACKAGE = __name__.partition(".")[0]


def script_path(namespace: Mapping[str, Any]) -> Path | None:
    """The file that `python train.py` runs; None: the session is none of a script."""
    file = namespace.get("__file__")
    if namespace.get("__name__") != "__main__" or not isinstance(file, str) or not file.endswith(".py"):
        return None
    path = Path(file).absolute()
    return path if path.is_file() else None


def script_cell(path: Path, namespace: Mapping[str, Any]) -> Cell:
    """The script up to the statement that it is at.

    Raises:
        BuildError: the file was changed since it was started, so that it says nothing of what ran.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # Windows puts a mark before it
        tree = parse(text)
    except (OSError, ValueError, SyntaxError) as error:
        raise BuildError(f"cannot read {path}, which runs: {error}") from error
    frame = _top_frame(path, namespace)
    if frame is None:
        return Cell(text, 1, file=path.name)
    if compile(text, str(path), "exec", dont_inherit=True) != frame.f_code:
        raise BuildError(f"{path.name} was changed while it ran: start it again")
    lines = text.split("\n")
    return Cell("\n".join(lines[: _end(tree, frame.f_lineno, text)]) + "\n", 1, file=path.name)


def is_service_file(path: Path) -> bool:
    """Whether a file is the module that its folder's project serves, which is imported as it is.

    Not when importing it builds: then it is a script all the same.
    """
    wishes = find_bundlefile(path.parent)
    service = wishes.service if wishes is not None and wishes.service else SERVICE_FILE
    module = service.rpartition(":")[0] or service
    if module.removesuffix(".py").replace(".", "/") != path.stem:
        return False
    return not _builds_when_imported(parse(path.read_text(encoding="utf-8-sig")))


def _builds_when_imported(tree: ast.Module) -> bool:
    """Whether `tiffin.build` is called whenever the module is executed, and not only as a script."""
    names = {f"{_PACKAGE}.build"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == _PACKAGE:
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "build"}
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
            continue
        if any(
            isinstance(node, ast.Call) and ast.unparse(node.func) in names for node in ast.walk(statement)
        ):
            return True
    return False


def _top_frame(path: Path, namespace: Mapping[str, Any]) -> FrameType | None:
    """That of the script's own lines; None in a thread, and at a prompt when all of it has run."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        code = frame.f_code
        is_top = frame.f_globals is namespace and code.co_name == "<module>"
        if is_top and Path(code.co_filename).name == path.name:
            return frame
        frame = frame.f_back
    return None


def _end(tree: ast.Module, line: int, text: str) -> int:
    """The line that the statement ends at which a line is of: what comes after it has not run."""
    whole = len(text.split("\n"))
    ends = [
        node.end_lineno or whole
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or line)
    ]
    for end in sorted(ends):
        try:
            parse("\n".join(text.split("\n")[:end]) + "\n")
        except SyntaxError:  # in the middle of a `try`
            continue
        return end
    return whole
