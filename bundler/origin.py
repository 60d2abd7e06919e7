"""What is built or served: source files, the service in them, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..runtime.supervisor.control import Target
from .target import is_project, project_target

if TYPE_CHECKING:  # what a plain project does without is read when it is needed
    from .capture.written import Captured
    from .model_files.origin import WrittenService
    from .model_files.wishes import FileOptions


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Source files in a folder, a user's own or one that was written for the build."""

    target: Target
    """Folder that is taken into the bundle, and the service in it."""
    settings: Path
    """Folder whose bundlefile, requirements and repository count; the source's own for a project."""
    generated: bool = False
    """Whether the source was written for the build, into a folder that is removed afterwards: `include` and
    `exclude` say nothing about it."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Added to the manifest's: `{"notebook": {"path": …, "cells": […]}}`."""
    notes: Sequence[str] = ()
    """What the user should know of it; a sentence each."""
    models: Sequence[str] = ()
    """Tags of models to take along besides those of the runners and the bundlefile."""
    imports: frozenset[str] = frozenset()
    """Top-level modules that the source imports; empty: not known."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Distribution to the version without which pickles in the source do not load."""
    name: str = ""
    """Of the bundle, unless one is given; empty: the bundlefile's, else the service's."""
    located: Callable[[str], str] = str
    """Adds to a text that names lines of a written module where these come from."""


@contextmanager
def origin_of(
    target: str | Path | type, *, files: FileOptions | None = None, name: str | None = None
) -> Iterator[Origin]:
    """Makes ready what a target stands for; what was written for it is gone at the end.

    Args:
        target: a project folder, `service.py:Class`, `module:Class`, a notebook (`train.ipynb`,
            `train.ipynb:Class`), a service class, of a file or of this session, a model file, or a folder of
            model files.
        files: what the user says of model files.
        name: of the bundle; the only model of a file gets it too.

    Raises:
        BuildError, ConfigError, ServiceDefinitionError: as `project_target`; as `capture_notebook`.
        ModelError: a file that is no model, or one that cannot be used.
        UsageError: what was said of model files does not fit, or there are none.
    """
    project = not isinstance(target, type) and is_project(target)
    if not project and not isinstance(target, type):
        from .model_files.origin import holds_models, written_service
        from .model_files.wishes import FileOptions

        if holds_models(Path(target)):
            with written_service(Path(target), files or FileOptions(), name) as written:
                yield _of_models(Path(target), written)
            return
    capture = None if project else _capture(target)
    if files is not None and files.given:
        if capture is None and not project:
            project_target(target)  # where nothing is, no option is to blame
        raise UsageError(f"--input, --classes and --task are for model files, and {target} is none")
    if capture is None:
        found = project_target(target)
        yield Origin(target=found, settings=Path(found.source))
        return
    from .capture.by_cell import errors_by_cell
    from .capture.origin import captured_folder

    with captured_folder() as folder:
        captured = capture(folder)
        with errors_by_cell(captured):
            yield _of_captured(captured)


def _capture(target: str | Path | type) -> Callable[[Path], Captured] | None:
    """What writes the source of a notebook or of a session into a folder; None: the target has files."""
    from .capture.origin import capture_notebook, is_of_session, notebook_of

    if isinstance(target, type):
        if not is_of_session(target):
            return None
        from .capture.session import capture_class  # which brings what services are made of

        return partial(capture_class, target)
    notebook = notebook_of(target)
    return None if notebook is None else partial(capture_notebook, *notebook)


def _of_models(path: Path, written: WrittenService) -> Origin:
    return Origin(
        target=written.target,
        settings=path if path.is_dir() else Path.cwd(),
        generated=True,
        provenance={"model_files": written.files},
        notes=written.notes,
        imports=written.imports,
        name=written.name,
    )


def _of_captured(captured: Captured) -> Origin:
    from .capture.by_cell import by_cell

    return Origin(
        target=captured.target,
        settings=captured.settings,
        generated=True,
        provenance=captured.provenance,
        notes=captured.notes,
        imports=captured.imports,
        versions=captured.versions,
        name=captured.name,
        located=partial(by_cell, captured),
    )
