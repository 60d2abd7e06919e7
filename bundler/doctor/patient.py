"""What the doctor looks at: the machine, and the project, bundle or model that was named."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...errors import ConfigError, InvalidTagError, NotFoundError, ServiceDefinitionError, TiffinError
from ...runtime.home import bundles_folder, models_folder
from ...runtime.manifest import BUNDLE_FILE, MODEL_FILE, BundleInfo, ModelInfo, RunnerSpec, ServiceSpec
from ...runtime.model.model import read_info
from ...runtime.service.bundlefile import BundleFile, find_bundlefile
from ...runtime.service.options import nearest
from ...runtime.shelf import Shelf
from ...runtime.supervisor.control import Target
from ...runtime.supervisor.weights import Weights, weights_of
from ...runtime.tag import Tag
from ...runtime.verify import read_bundle
from ..describe import describe
from ..model_files.origin import is_model_target
from ..origin import origin_of
from ..python.info_folders import closure
from ..python.lockfile import LOCK_FILE, read_lock
from ..snapshot import SourceFile, list_sources
from ..target import path_of
from .machine import Machine
from .requirement_lines import NOTHING, Asked, asked_by

Kind = Literal["machine", "folder", "bundle", "model", "file"]
THIS_MACHINE = "this machine"
_LINKED_FROM_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    info: ModelInfo
    path: Path

    @property
    def tag(self) -> str:
        return f"{self.info.name}:{self.info.version}"


@dataclass(frozen=True, kw_only=True)
class Patient:
    """All that the checks read."""

    machine: Machine
    kind: Kind = "machine"
    title: str = THIS_MACHINE
    folder: Path | None = None
    """Of the project or the bundle."""
    port: int = 3000
    """That would be served on."""
    wishes: BundleFile = field(default_factory=BundleFile)
    asked: Asked = NOTHING
    """Of a project: the packages that it names."""
    sources: tuple[SourceFile, ...] = ()
    """Of a project: what would go into the bundle."""
    bundle: BundleInfo | None = None
    locked: Mapping[str, str] = field(default_factory=dict)
    """Of a bundle: what its image will have; canonical name to version."""
    service: ServiceSpec | None = None
    problem: str = ""
    """Why the service could not be described."""
    models: tuple[SavedModel, ...] = ()
    weights: Mapping[str, Weights] = field(default_factory=dict)
    """Runner to its models' files."""

    @property
    def packages(self) -> dict[str, str]:
        """Installed packages that matter here: all of them, or what the project and its models need."""
        if self.kind == "machine":
            return dict(self.machine.packages)
        roots = {line.name for line in self.asked.lines if line.name} | set(self.locked) | {"tiffin"}
        roots |= {name.lower().replace("_", "-") for model in self.models for name in model.info.versions}
        return closure(sorted(roots), self.machine.packages)


def look_at(target: str | None, machine: Machine, *, port: int = 3000, run: bool = True) -> Patient:
    """Gathers what there is to know; of a project the service is imported, in a process of its own.

    Args:
        target: a folder, a notebook or `module:Class` as for `build`, a model file, a bundle's folder or
            tag, a model's tag; None: the machine alone.
        port: that would be served on.
        run: whether the service of a project may be imported.

    Raises:
        ConfigError: there is nothing of that name.
        TiffinError: the bundle, the model or the project cannot be read at all.
    """
    if target is None:
        return Patient(machine=machine, port=port)
    path = path_of(target)
    if path.is_dir() and (path / BUNDLE_FILE).is_file():
        return _bundle(path.absolute(), machine, port)
    if is_model_target(target):
        return _files(path, machine, port)
    if not path.exists() and ".py" not in target:
        for kind, shelf in _shelves():
            try:
                found = shelf.path(Tag.parse(target))
            except (NotFoundError, InvalidTagError):
                continue
            return kind(found, machine, port)
    try:
        return _project(target, machine, port, run)
    except ServiceDefinitionError as error:
        if not path.is_dir():
            raise
        return _broken(path, machine, port, str(error))  # the rest is worth a look all the same
    except ConfigError as error:
        what = str(error).replace("nothing to build", "nothing to examine", 1)
        raise ConfigError(what if path.exists() else f"{what}; {_no_tag(target)}") from None


def _no_tag(target: str) -> str:
    """`the store has no bundle or model of that name; did you mean 'iris'?`"""
    known = [name for _, shelf in _shelves() for name in shelf.names()]
    return f"the store has no bundle or model of that name{nearest(target.partition(':')[0], known)}"


def _shelves() -> list[tuple[Callable[[Path, Machine, int], Patient], Shelf]]:
    """In the order in which a tag is looked up."""
    return [
        (_bundle, Shelf(bundles_folder(), BUNDLE_FILE)),
        (_model, Shelf(models_folder(), MODEL_FILE)),
    ]


def _bundle(folder: Path, machine: Machine, port: int) -> Patient:
    info = read_bundle(folder)
    try:
        lock = read_lock((folder / LOCK_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        lock = []
    places = [folder / "models" / Tag.parse(tag).name / Tag.parse(tag).version for tag in info.models]
    target = Target(source=str(folder / "src"), service=info.service.cls, bundle=str(folder))
    return Patient(
        machine=machine,
        kind="bundle",
        title=f"{info.name}:{info.version}",
        folder=folder,
        port=port,
        bundle=info,
        locked={package.name: package.version for package in lock},
        service=info.service,
        models=tuple(SavedModel(info=read_info(place), path=place) for place in places),
        weights={runner.name: weights_of(runner, target) for runner in info.service.runners},
        wishes=BundleFile(image=info.image),
    )


def _model(folder: Path, machine: Machine, port: int) -> Patient:
    model = SavedModel(info=read_info(folder), path=folder)
    # As `tiffin.runner("name:latest")` would run it: a worker, with the usual batches.
    runner = RunnerSpec(name=model.info.name, model=model.tag, methods=model.info.methods)
    return Patient(
        machine=machine,
        kind="model",
        title=model.tag,
        port=port,
        service=ServiceSpec(name=model.info.name, cls="", runners=[runner]),
        models=(model,),
        weights={runner.name: weights_of(runner, Target(source="", service=""))},
    )


def _files(path: Path, machine: Machine, port: int) -> Patient:
    """Model files that nobody has loaded yet, which is when a look at them is worth most."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    sources = [SourceFile(each.name, each, each.stat().st_size) for each in files]
    return Patient(machine=machine, kind="file", title=str(path), port=port, sources=tuple(sources))


def _broken(folder: Path, machine: Machine, port: int, problem: str) -> Patient:
    wishes = find_bundlefile(folder) or BundleFile()
    return Patient(
        machine=machine,
        kind="folder",
        title=str(folder),
        folder=folder,
        port=port,
        wishes=wishes,
        asked=asked_by(folder, wishes),
        sources=tuple(list_sources(folder, include=wishes.include, exclude=wishes.exclude)),
        problem=problem,
    )


def _project(text: str, machine: Machine, port: int, run: bool) -> Patient:
    with origin_of(text) as origin:
        wishes = find_bundlefile(origin.settings) or BundleFile()
        folder = Path(origin.target.source)
        sources = (
            list_sources(folder)
            if origin.generated
            else list_sources(folder, include=wishes.include, exclude=wishes.exclude)
        )
        service, problem = _described(origin.target, sources) if run else (None, "")
        models, missing = _models_of(service, [*wishes.models, *origin.models])
        return Patient(
            machine=machine,
            kind="folder",
            title=str(origin.settings),
            folder=origin.settings,
            port=port,
            wishes=wishes,
            asked=asked_by(origin.settings, wishes),
            sources=() if origin.generated else tuple(sources),  # those that were written are gone by then
            service=service,
            problem=problem or missing,
            models=models,
            weights={
                runner.name: weights_of(runner, origin.target)
                for runner in (service.runners if service is not None and not missing else ())
            },
        )


def _described(target: Target, sources: list[SourceFile]) -> tuple[ServiceSpec | None, str]:
    """The service, imported from a copy of just those files that the bundle would have."""
    with tempfile.TemporaryDirectory(prefix="tiffin-doctor-") as scratch:
        copy = Path(scratch) / "src"
        for source in sources:
            place = copy / source.path
            place.parent.mkdir(parents=True, exist_ok=True)
            _copy(source, place)
        try:
            return describe(target, copy)[0], ""
        except TiffinError as error:
            return None, str(error)


def _copy(source: SourceFile, place: Path) -> None:
    """Large files are linked where that is possible: data takes long to copy, and code is small."""
    if source.size_bytes > _LINKED_FROM_BYTES:
        with contextlib.suppress(OSError):
            os.link(source.source, place)
            return
    shutil.copyfile(source.source, place)


def _models_of(service: ServiceSpec | None, more: list[str]) -> tuple[tuple[SavedModel, ...], str]:
    """Models of the service and the bundlefile that are in the store; and what is said of one that is not."""
    shelf = Shelf(models_folder(), MODEL_FILE)
    wanted = list(more)
    for runner in service.runners if service is not None else ():
        wanted += [tag for tag in (runner.model, *runner.models) if tag]
    found: dict[Tag, SavedModel] = {}
    missing = ""
    for text in wanted:
        try:
            tag = shelf.resolve(text)
            place = shelf.path(tag)
            found[tag] = SavedModel(info=read_info(place), path=place)
        except TiffinError as error:  # noqa: PERF203 - the others are looked at all the same
            missing = missing or str(error)
    return tuple(found[tag] for tag in sorted(found)), missing
