"""Folders in the layout of the Hugging Face Hub: JSON beside safetensors, and no pickles."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from ...errors import ModelError
from .framework import copy_folder
from .settings_file import check_size

WEIGHTS = "*.safetensors"
_LEFT_OUT = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.ot")
"""Pickles, and the same weights once more for other libraries."""


def copy_safe(source: Path, folder: Path) -> None:
    """Copies what loading reads, without pickles and other forms of the same weights.

    Raises:
        ModelError: there are no safetensors.
    """
    check_safe(source)
    copy_folder(source, folder, leave_out=_LEFT_OUT)


def check_safe(source: Path) -> None:
    """
    Raises:
        ModelError: no folder, one without safetensors, or one with settings too large to be such.
    """
    if not source.is_dir():
        raise ModelError(f"{source} is no folder: give the folder that save_pretrained wrote")
    if not any(source.rglob(WEIGHTS)):
        raise ModelError(
            f"{source} holds no safetensors: load the model and write it with save_pretrained, "
            "which does not pickle; then save that folder"
        )
    for path in source.rglob("*.json"):
        check_size(path.stat().st_size, str(path))


@contextlib.contextmanager
def quiet(library: str) -> Iterator[None]:
    """Without the progress bars of `transformers` or `diffusers`, which a worker would write into its log."""
    bars = import_module(f"{library}.utils.logging")
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
