"""Writes what a notebook or a session has of a service into a folder, ready to be built or served."""

from __future__ import annotations

import ast
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import BuildError, ServiceDefinitionError, TiffinError
from ...runtime.service.service import service_info
from ...runtime.service.source import services_in
from ...runtime.supervisor.control import Target
from ..words import size_words
from .cell import Cell
from .history import executed_cells, notebook_path
from .live import LiveSession
from .local_modules import Imports, local_modules, session_folders
from .notebook import SUFFIX, read_notebook
from .source import Source, source_of, top_levels
from .values import Values

MODULE = "service"
_OTHER_MODULE = "notebook_service"
_MISSING_FILE = re.compile(r"FileNotFoundError: .*?'([^']+)'")


@dataclass(frozen=True)
class Captured:
    """A folder of source that was written."""

    target: Target
    settings: Path
    """Folder of the notebook, or where the session is."""
    source: Source
    imports: frozenset[str]
    """Top-level modules of distributions."""
    provenance: Mapping[str, Any]
    notes: Sequence[str]


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
    return _write(source, service, folder, folders=folders, settings=path.parent, notebook=path)


def capture_class(cls: type, folder: Path) -> Captured:
    """
    Args:
        cls: a service class of `__main__`, in a notebook or at a prompt.
        folder: to write to.

    Raises:
        BuildError: the service needs what can neither be had from source nor be pickled.
    """
    service_info(cls)
    if "<locals>" in cls.__qualname__:
        raise BuildError(
            f"{cls.__qualname__} is defined inside a function, where a server cannot find it: "
            "move it to the top of a cell"
        )
    namespace = vars(sys.modules["__main__"])
    if namespace.get(cls.__name__) is not cls:
        raise BuildError(
            f"{cls.__name__} is not what that name stands for in this session now: run its cell again"
        )
    path = notebook_path(namespace)
    title = path.name if path else "a session"
    source = source_of(executed_cells(namespace), cls.__name__, title=title, session=LiveSession(namespace))
    settings = path.parent if path else Path.cwd()
    return _write(
        source,
        cls.__name__,
        folder,
        folders=session_folders(),
        settings=settings,
        notebook=path,
        namespace=namespace,
    )


def notebook_of(target: str | Path) -> tuple[Path, str] | None:
    """Path and class of `train.ipynb` or `train.ipynb:Iris`; None: it is no notebook."""
    file, _, name = str(target).rpartition(":") if not str(target).endswith(SUFFIX) else (str(target), "", "")
    return (Path(file), name) if file.endswith(SUFFIX) else None


def is_of_session(cls: type) -> bool:
    """Whether a class was defined in a cell or at a prompt, so that no file has it."""
    if cls.__module__ != "__main__":
        return False
    file = getattr(sys.modules["__main__"], "__file__", None)
    if not file or not str(file).endswith(".py"):
        return True
    try:
        return cls.__qualname__.partition(".")[0] not in services_in(Path(file))
    except (OSError, ServiceDefinitionError):
        return True


def _write(
    source: Source,
    service: str,
    folder: Path,
    *,
    folders: Sequence[Path],
    settings: Path,
    notebook: Path | None,
    namespace: Mapping[str, Any] | None = None,
) -> Captured:
    used = {name.partition(".")[0] for _, name in source.modules}
    module = _OTHER_MODULE if MODULE in used else MODULE
    values = Values(folder, module, namespace or {})
    for name in source.by_value:
        values.add(name, sourced=source.sourced[name])
    values.finish()
    modules: Imports = [*source.modules, *((0, name) for name in values.modules if name != "__main__")]
    files, others = local_modules(modules, folders)
    for relative, file in files.items():
        to = folder / relative
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(file.read_bytes())
    (folder / f"{module}.py").write_text(source.text, encoding="utf-8")
    own = {relative.partition("/")[0].removesuffix(".py") for relative in files}
    return Captured(
        target=Target(source=str(folder), service=f"{module}:{service}"),
        settings=settings,
        source=source,
        imports=top_levels([*modules, *others]) - own,
        provenance={
            "notebook": {
                "path": notebook.name if notebook else "",
                "cells": [cell.id or str(cell.number) for cell in _once(source.cells)],
            }
        },
        notes=tuple(_notes(source, values, namespace or {}, sorted(files), notebook)),
    )


def _notes(
    source: Source, values: Values, namespace: Mapping[str, Any], files: Sequence[str], notebook: Path | None
) -> Iterator[str]:
    numbers = ", ".join(str(cell.number) for cell in _once(source.cells))
    if source.cells:
        where = notebook.name if notebook else "this session"
        yield f"source from cell{'s' if ',' in numbers else ''} {numbers} of {where}; the rest is left out"
    if files:
        shown = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
        yield f"modules beside it go along: {shown}"
    if source.written:
        yield f"written with the values that they have now: {', '.join(source.written)}"
    for name, model in source.latest.items():
        yield f"{name} stands for {model}:latest: a file does not say which version was saved"
    if values.sizes:
        each = ", ".join(
            f"{name} ({type(namespace[name]).__name__}, {size_words(size)})"
            for name, size in values.sizes.items()
        )
        versions = ", ".join(
            f"{name} {version}" for name, version in values.versions.items() if name != "tiffin"
        )
        yield f"by cloudpickle, for want of source: {each}; loads with {versions} only"


def _once(cells: Sequence[Cell]) -> list[Cell]:
    """A cell that was run again is one; the later number counts."""
    return list({cell.id or cell.number: cell for cell in cells}.values())


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
        for node in ast.walk(ast.parse(cell.python or ""))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"sys.path.append", "sys.path.insert"}
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


@contextmanager
def captured_folder() -> Iterator[Path]:
    """A folder that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="tiffin-capture-") as folder:
        yield Path(folder).resolve()


@contextmanager
def errors_by_cell(captured: Captured) -> Iterator[None]:
    """Within, an error that names a line of the module that was written names the cell and its line, too."""
    try:
        yield
    except TiffinError as error:
        if len(error.args) == 1 and isinstance(error.args[0], str):
            error.args = (_by_cell(error.args[0], captured),)
        raise


def _by_cell(message: str, captured: Captured) -> str:
    module = captured.target.service.partition(":")[0]

    def with_cell(match: re.Match[str]) -> str:
        line = int(match[1])
        for span in captured.source.spans:
            if span.first <= line <= span.last:
                return f"{match[0]} ({span.cell.name}, line {span.cell_line + line - span.first})"
        return match[0]

    message = re.sub(rf"\b{module}\.py:(\d+)\b", with_cell, message)
    missing = _MISSING_FILE.search(message)
    if missing and (captured.settings / missing[1]).exists():
        message += (
            f"\n{missing[1]} lies beside the notebook, and only code is taken from there: write what it "
            "holds into a cell, save it with the model (tiffin.models.save(…, metadata={…})), or put it into "
            "a package beside the notebook, whose files go along, and read it by Path(__file__).parent"
        )
    return message
