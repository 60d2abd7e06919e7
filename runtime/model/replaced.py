"""Models that take the place of those in a bundle.

Platforms mount a model's files into the container, so that a new model needs no new image. A model in the
folder that `TIFFIN_MODEL_DIR` names is used wherever the bundle says a model of the same name. Its digest is
checked as ever, and it must take what the bundled one takes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...errors import ConfigError
from ..manifest import MODEL_FILE, BundleInfo, MethodSpec, ModelInfo, RunnerSpec, TypeSpec
from ..shelf import Shelf
from ..tag import Tag
from .model import read_info

logger = logging.getLogger("tiffin.models")

FOLDER = "TIFFIN_MODEL_DIR"
MAX_DEPTH = 2
"""A model lies in the folder itself, in `<name>/` or in `<name>/<version>/`."""


def folders_with(folder: Path, file: str, depth: int = MAX_DEPTH) -> Iterator[Path]:
    """The folders from this one down that hold a file of that name; below one that does, nobody looks."""
    if (folder / file).is_file():
        yield folder
    elif depth and folder.is_dir():
        for below in sorted(folder.iterdir()):
            if below.is_dir() and not below.name.startswith("."):
                yield from folders_with(below, file, depth - 1)


def replaced(environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Name to the folder of the model to use; of several versions the last.

    Raises:
        ConfigError: the folder is not there.
        IntegrityError: a manifest in it is damaged.
    """
    named = environ.get(FOLDER, "")
    if not named:
        return {}
    folder = Path(named)
    if not folder.is_dir():
        raise ConfigError(f"{FOLDER}={named!r}: there is no such folder")
    found: dict[str, tuple[str, Path]] = {}
    for path in folders_with(folder, MODEL_FILE):
        info = read_info(path)
        found[info.name] = max(found.get(info.name, ("", path)), (info.version, path))
    return {name: path for name, (_, path) in found.items()}


def folder_of(shelf: Shelf, tag: str | Tag) -> Path:
    """As `shelf.path` of a bundle's models, or the folder of what takes its place.

    Raises:
        NotFoundError: the bundle has no such model.
        ConfigError: as `replaced`.
    """
    name = shelf.resolve(tag).name
    return replaced().get(name) or shelf.path(tag)


def check_replaced(bundle: BundleInfo) -> None:
    """Says in the log which models are used instead of the bundle's.

    Raises:
        ConfigError: one cannot take the place of the bundled one.
        IntegrityError: a manifest is damaged.
    """
    bundled = {Tag.parse(tag).name: tag for tag in bundle.models}
    for name, path in replaced().items():
        if name not in bundled:
            logger.warning("%s: no model of that name is in %s, it is not used", path, bundle.name)
            continue
        info = read_info(path)
        for runner in bundle.service.runners:
            if runner.model and Tag.parse(runner.model).name == name:
                _check_fits(runner, info, path)
        logger.info("%s: %s:%s takes the place of %s", path, name, info.version, bundled[name])


def _check_fits(runner: RunnerSpec, info: ModelInfo, path: Path) -> None:
    for name, method in runner.methods.items():
        offered = info.methods.get(name)
        if offered is None:
            has = ", ".join(info.methods) or "none"
            raise ConfigError(
                f"{path} cannot take the place of {runner.model}: "
                f"runner {runner.name!r} calls {name!r}, it has {has}"
            )
        if _taken(method) != _taken(offered):
            raise ConfigError(
                f"{path} cannot take the place of {runner.model}: {name!r} takes {_words(offered)}, "
                f"runner {runner.name!r} gives {_words(method)}"
            )


def _taken(method: MethodSpec) -> object:
    return method.batch, [_form(spec) for spec in method.inputs.values()]


def _form(spec: TypeSpec) -> tuple[object, ...]:
    return spec.kind, spec.dtype, tuple(spec.dtypes), _dims(spec), spec.columns


def _dims(spec: TypeSpec) -> tuple[int | str, ...] | None:
    """Axes of any length may be called anything."""
    if spec.shape is None:
        return None
    return tuple(dim if isinstance(dim, int) or dim == "..." else "n" for dim in spec.shape)


def _words(method: MethodSpec) -> str:
    return ", ".join(
        f"{spec.dtype or spec.kind}{list(spec.shape) if spec.shape is not None else ''}"
        for spec in method.inputs.values()
    )
