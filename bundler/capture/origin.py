"""Notebooks and sessions as what is built or served."""

from __future__ import annotations

import ast
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...errors import ServiceDefinitionError
from ...runtime.service.source import services_in
from .cell import Cell
from .magics import parse
from .notebook import SUFFIX, read_notebook
from .script import is_service_file
from .source import Source, source_of
from .written import Captured, write


def capture_notebook(path: Path, name: str, folder: Path) -> Captured:
    """
    Args:
        path: an `.ipynb`; nothing of it is executed.
        name: class of the service; empty: the only one.
        folder: to write to; what an earlier capture wrote is replaced.

    Raises:
        ConfigError: no notebook.
        ServiceDefinitionError: no service in it, or several.
        BuildError: the service needs what cannot be had from source.
    """
    path = path.absolute()
    cells = read_notebook(path)
    source = source_of(cells, name, title=path.name)
    folders = [path.parent, *_added_folders(cells, path.parent)]
    service = name or _only(source, path.name)
    return write(source, service, folder, folders=folders, settings=path.parent, file=path)


def notebook_of(target: str | Path) -> tuple[Path, str] | None:
    """Path and class of `train.ipynb` or `train.ipynb:Iris`; None: it is no notebook."""
    file, _, name = str(target).rpartition(":") if not str(target).endswith(SUFFIX) else (str(target), "", "")
    return (Path(file), name) if file.endswith(SUFFIX) else None


def is_of_session(cls: type) -> bool:
    """Whether a class was defined in a cell, at a prompt or in the script that runs.

    None of these is imported as it is. The module that a project serves is, as a script, too.
    """
    if cls.__module__ != "__main__":
        return False
    file = getattr(sys.modules["__main__"], "__file__", None)
    if not file or not str(file).endswith(".py"):
        return True
    try:
        in_file = cls.__qualname__.partition(".")[0] in services_in(Path(file))
        return not in_file or not is_service_file(Path(file).absolute())
    except (OSError, ServiceDefinitionError):
        return True


def _only(source: Source, title: str) -> str:
    if len(source.services) == 1:
        return source.services[0]
    named = ", ".join(f"{title}:{name}" for name in source.services)
    raise ServiceDefinitionError(f"{title} has several services; name one: {named}")


def _added_folders(cells: Sequence[Cell], here: Path) -> list[Path]:
    """Those of `sys.path.append("../src")`."""
    return [
        (here / argument.value).resolve()
        for cell in cells
        for node in ast.walk(parse(cell.python or ""))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"sys.path.append", "sys.path.insert"}
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


@contextmanager
def captured_folder() -> Iterator[Path]:
    """A folder that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="tiffin-capture-") as folder:
        yield Path(folder).resolve()
