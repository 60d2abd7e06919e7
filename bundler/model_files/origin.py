"""A model file, or a folder of them, as something to build: models in the store, and a service for them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...errors import ModelError, UsageError
from ...runtime.model.model import Model
from ...runtime.supervisor.control import Target
from ...runtime.tag import Tag
from .. import models
from ..target import is_project
from .found import Found
from .inputs import parse_inputs
from .load import pickle_warning
from .names import model_name, names_of
from .recognise import known_model, models_in, recognise
from .saving import save_apart
from .source import MODULE, Served, write_service
from .task_input import supposed_input
from .task_source import OWN_WORDS
from .wishes import FileOptions, read_classes


def is_model_target(text: str, here: Path | None = None) -> bool:
    """Whether a target is a model file, or a folder of models, rather than code or a tag. Nothing is loaded.

    Args:
        text: as typed.
        here: the folder that it was typed in.
    """
    path = (here or Path.cwd()) / text
    return not is_project(path) and holds_models(path)


def holds_models(path: Path) -> bool:
    """The same of a path that is no project."""
    return path.suffix != ".ipynb" if path.is_file() else path.is_dir() and bool(_found_in(path))


@dataclass(frozen=True)
class WrittenService:
    """A service that was written for models that lie in the store."""

    target: Target
    name: str
    files: list[str]
    """Names of the model files."""
    notes: list[str]
    imports: frozenset[str]


@contextmanager
def written_service(path: Path, options: FileOptions, name: str | None) -> Iterator[WrittenService]:
    """Saves the models and writes their service into a folder that is gone at the end.

    Models that were not in the store before are taken out again when the block fails.

    Args:
        path: a model file, a folder that is one model, or a folder of models.
        options: what the user says of them.
        name: of the service, and of the model when there is only one; None: the file's or folder's.

    Raises:
        ModelError: no model that can be used.
        UsageError: options that do not fit.
    """
    found = _found_in(path)
    single = len(found) == 1
    names = [name or model_name(found[0].path)] if single else names_of([each.path for each in found])
    of_models = options.of_models(names)
    for each in of_models.values():
        parse_inputs(each.inputs)  # wrong words are told before gigabytes are read
    new: list[Tag] = []
    try:
        served = [
            _saved(each, model, of_models[model], new) for each, model in zip(found, names, strict=True)
        ]
        service = name or (names[0] if single else model_name(path))
        written = write_service(served, service, options.task)
        with tempfile.TemporaryDirectory(prefix="tiffin-service-") as folder:
            (Path(folder) / f"{MODULE}.py").write_text(written.text, encoding="utf-8")
            yield WrittenService(
                target=Target(source=folder, service=f"{MODULE}:{written.cls}"),
                name=written.name,
                files=[each.found.path.resolve().name for each in served],
                notes=[note for each in served for note in _notes(each)],
                imports=written.imports,
            )
    except BaseException:
        for tag in new:
            models.delete(tag)
        raise


def _notes(served: Served) -> Iterator[str]:
    """What the user should know, a sentence each."""
    if warning := pickle_warning(served.found):
        yield warning
    if served.supposed:
        yield (
            f"{served.found.path.name} does not say what goes in: {served.supposed} is supposed, for it "
            "takes zeros of that; if it was trained on other sizes, say them with --input"
        )
    method = next(iter(served.model.info.methods.values()), None)
    shapes = [spec.shape for spec in method.inputs.values() if spec.kind == "array"] if method else []
    if method is not None and (not method.inputs or None in shapes):
        yield _unknown(served)


def _unknown(served: Served) -> str:
    return (
        f"{served.found.path.name} does not say what goes in: arrays of any shape are taken, and nothing is "
        "tried before the first request; say it with --input x:float32[n,4]"
    )


def _saved(found: Found, name: str, options: FileOptions, new: list[Tag]) -> Served:
    before = {model.tag for model in models.list(name)}
    words = [word for file in options.classes for word in read_classes(Path(file))]
    own = options.task in OWN_WORDS
    save = partial(
        save_apart if options.apart else models.save,
        name,
        found.path.absolute(),
        classes=None if own or not words else words,
        reuse=True,
    )
    model = save(inputs=options.inputs)
    if model.tag not in before:
        new.append(model.tag)
    supposed = supposed_input(options.task, model.info) if options.task and not options.inputs else ""
    if supposed:
        tried = _with_supposed(found, options.task, supposed, save)
        if model.tag in new and tried.tag != model.tag:
            new.remove(model.tag)
            models.delete(model.tag)
        if tried.tag not in before:
            new.append(tried.tag)
        model = tried
    return Served(model, found, _written_tag(model), words if own else (), supposed)


def _with_supposed(found: Found, task: str, supposed: str, save: Callable[..., Model]) -> Model:
    """The model, tried on what the task is going to give it.

    Raises:
        UsageError: it does not take that.
    """
    try:
        return save(inputs=[supposed])
    except ModelError as error:
        raise UsageError(
            f"{found.path.name} does not say what goes in, and --task {task} would give it {supposed}: "
            f"{error}; say what goes in, with the sizes that it was trained on: --input {supposed}"
        ) from error


def _written_tag(model: Model) -> str:
    """`iris:latest` where that is this one: it reads better, and lives longer."""
    latest = Tag(model.tag.name)
    return str(latest if models.resolve(latest) == model.tag else model.tag)


def _found_in(path: Path) -> list[Found]:
    if not path.is_dir():
        return [known_model(path)]
    whole = _as_one(path)
    return [whole] if whole is not None else models_in(path)


def _as_one(folder: Path) -> Found | None:
    """The folder as one model; None when it is none."""
    found = recognise(folder)
    if found.model and not found.servable:
        raise ModelError(f"{folder.name} seems to be {found.what}: {found.advice}")
    return found if found.servable else None
