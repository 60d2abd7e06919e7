"""What must be the same on both sides for a batch to be computed elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from ..digest import content_digest
from ..home import models_folder
from ..manifest import BUNDLE_FILE, MODEL_FILE, BundleInfo, ModelInfo, RunnerSpec, load_yaml
from ..model.model import read_info
from ..model.replaced import folder_of
from ..shelf import Shelf
from ..supervisor.control import Target
from .messages import Roster, Terms
from .options import Match


class Ours(msgspec.Struct, kw_only=True):
    """What one side serves."""

    title: str
    bundle: str
    """Digest of the bundle; empty when none is served."""
    terms: dict[str, Terms]
    """Runner to its terms."""


def terms_of(runners: list[RunnerSpec], target: Target, title: str) -> Ours:
    """Reads the manifests of the models; no model is loaded.

    Raises:
        TiffinError: a model is gone, or a manifest is damaged.
    """
    folder = Path(target.bundle)
    bundle = load_yaml(folder / BUNDLE_FILE, BundleInfo).digest if target.bundle else ""
    shelf = Shelf(folder / "models" if target.bundle else models_folder(), MODEL_FILE)
    path = partial(folder_of if bundle else Shelf.path, shelf)
    return Ours(title=title, bundle=bundle, terms={runner.name: _terms(runner, path) for runner in runners})


def _terms(runner: RunnerSpec, path: Callable[[str], Path]) -> Terms:
    infos = {tag: read_info(path(tag)) for tag in (runner.model, *runner.models) if tag}
    of_model = infos.get(runner.model)
    return Terms(
        methods=_digest(methods=runner.methods, classes=[] if of_model is None else of_model.classes),
        models=_digest(models={_name(tag): _content(info) for tag, info in infos.items()}),
        shown=runner.model or runner.cls,
    )


def _name(tag: str) -> str:
    """Without the version: the same content may have been saved twice."""
    return tag.partition(":")[0]


def _content(info: ModelInfo) -> Any:
    """What is computed, and what the service reads of it."""
    return [info.digest, info.classes, info.metadata]


def _digest(**fields: Any) -> str:
    return content_digest((), **fields)


def difference(runner: str, ours: Ours, theirs: Roster, match: Match) -> str:
    """Why a runner's workers there cannot be used here, for a person; empty when they can."""
    mine, other = ours.terms[runner], theirs.terms[runner]
    there, here = f"{other.shown} of {theirs.title}", f"this side ({mine.shown} of {ours.title})"
    if mine.methods != other.methods:
        return f"its runner {runner!r} ({there}) has other methods, inputs, outputs or classes than {here}"
    if match != "methods" and mine.models != other.models:
        return f"its runner {runner!r} ({there}) has other models than {here}"
    if match == "bundle" and ours.bundle != theirs.bundle:
        return (
            f"it serves another bundle ({theirs.title}, {theirs.bundle or 'none'}) "
            f"than this side ({ours.title}, {ours.bundle or 'none'})"
        )
    return ""
