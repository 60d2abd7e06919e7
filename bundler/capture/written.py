"""What was taken from cells, written into a folder that can be built or served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.service.bundlefile import find_bundlefile
from ...runtime.supervisor.control import Target
from ...runtime.words import size_words
from ..snapshot import ignored_in
from .cell import Cell
from .local_modules import Imports, local_modules
from .source import Source, module_of, top_levels

if TYPE_CHECKING:
    from .values import Values


@dataclass(frozen=True)
class Captured:
    """A folder of source that was written."""

    target: Target
    settings: Path
    """Folder of the notebook, or where the session is."""
    source: Source
    imports: frozenset[str]
    """Top-level modules of distributions."""
    versions: Mapping[str, str]
    """Distributions that its pickles load with only."""
    provenance: Mapping[str, Any]
    notes: Sequence[str]
    name: str = ""
    """Of the bundle, when the service's cell says so."""


def write(
    source: Source,
    service: str,
    folder: Path,
    *,
    folders: Sequence[Path],
    settings: Path,
    file: Path | None,
    values: Values | None = None,
) -> Captured:
    """
    Args:
        service: its class.
        folder: to write to; files of the same names are replaced.
        folders: where local modules are looked for.
        settings: folder whose bundlefile and requirements count.
        file: the notebook or the script; None: a session of which none is known.
        values: objects that were pickled into the folder.

    Raises:
        BuildError: a local module that cannot go along.
        ConfigError: the bundlefile of that folder is wrong.
    """
    module = module_of(source)
    pickled = sorted(values.modules - {"__main__"}) if values else []
    modules: Imports = [*source.modules, *((0, name) for name in pickled)]
    wishes = find_bundlefile(settings)
    # Modules are needed whatever a pattern for the whole folder says; what lies beside them may stay behind.
    exclude = [*(wishes.exclude if wishes else ()), *ignored_in(settings), "!*.py"]
    files, others = local_modules(modules, folders, exclude=exclude)
    for relative, beside in files.items():
        to = folder / relative
        to.parent.mkdir(parents=True, exist_ok=True)
        _put(to, beside.read_bytes())
    _put(folder / f"{module}.py", source.text.encode())
    own = {relative.partition("/")[0].removesuffix(".py") for relative in files}
    return Captured(
        target=Target(source=str(folder), service=f"{module}:{service}"),
        settings=settings,
        source=source,
        imports=top_levels([*modules, *others]) - own,
        versions=values.versions if values else {},
        provenance=_provenance(source, file),
        notes=tuple(_notes(source, values, sorted(files), file)),
        name=next(filter(None, (cell.bundle_name(service) for cell in reversed(_once(source.cells)))), ""),
    )


def _provenance(source: Source, file: Path | None) -> dict[str, Any]:
    if file is not None and file.suffix == ".py":
        return {"script": file.name}
    cells = [cell.id or str(cell.number) for cell in _once(source.cells)]
    return {"notebook": {"path": file.name if file else "a session", "cells": cells}}


def _put(path: Path, data: bytes) -> None:
    """Leaves a file alone that is so already: a server may watch it."""
    if not path.is_file() or path.read_bytes() != data:
        path.write_bytes(data)


def _notes(source: Source, values: Values | None, files: Sequence[str], origin: Path | None) -> Iterator[str]:
    scripts = list(dict.fromkeys(cell.file for cell in source.cells if cell.file))
    numbers = ", ".join(str(cell.number) for cell in _once(source.cells) if not cell.file)
    where = origin.name if origin and not scripts else "this session"
    cells = [f"cell{'s' if ',' in numbers else ''} {numbers} of {where}"] if numbers else []
    if source.cells:
        yield f"source from {' and '.join([*scripts, *cells])}; the rest is left out"
    if files:
        shown = ", ".join(files[:5]) + (f" and {len(files) - 5} more" if len(files) > 5 else "")
        yield f"modules beside it go along: {shown}"
    if source.written:
        yield f"written with the values that they have now: {', '.join(source.written)}"
    for name, model in source.latest.items():
        yield f"{name} stands for {model}:latest: a file does not say which version was saved"
    if values is not None and values.sizes:
        each = ", ".join(
            f"{name} ({values.kinds[name]}, {size_words(size)})" for name, size in values.sizes.items()
        )
        versions = ", ".join(
            f"{name} {version}" for name, version in values.versions.items() if name != "tiffin"
        )
        yield f"by cloudpickle, for want of source that can be run again: {each}; loads with {versions} only"


def _once(cells: Sequence[Cell]) -> list[Cell]:
    """A cell that was run again is one; the later number counts."""
    return list({cell.id or cell.number: cell for cell in cells}.values())
