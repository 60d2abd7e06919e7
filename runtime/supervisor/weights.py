"""How large the models of a runner are, from their manifests."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..home import models_folder
from ..manifest import MODEL_FILE, RunnerSpec
from ..model.framework import shared_bytes
from ..model.model import read_info
from ..model.replaced import folder_of
from ..shelf import Shelf
from .control import Target


class Weights(NamedTuple):
    """Of the files of a runner's models; what a class loads besides is not known."""

    all_bytes: int = 0
    shared_bytes: int = 0
    """Of those, what all workers on the CPU hold once."""

    def held_bytes(self, workers: int) -> int:
        """What so many workers hold together."""
        return self.shared_bytes + workers * (self.all_bytes - self.shared_bytes)


def weights_of(runner: RunnerSpec, target: Target) -> Weights:
    """
    Raises:
        NotFoundError: a model is not there.
        IntegrityError: its manifest is damaged.
    """
    shelf = Shelf(Path(target.bundle) / "models" if target.bundle else models_folder(), MODEL_FILE)
    folder = folder_of if target.bundle else Shelf.path
    infos = [read_info(folder(shelf, tag)) for tag in (runner.model, *runner.models) if tag]
    return Weights(
        all_bytes=sum(info.size_bytes for info in infos),
        shared_bytes=0 if runner.gpus else sum(shared_bytes(info) for info in infos),
    )
