"""What lies in an archive of `torch.export.save`: raw tensors and JSON, or also pickles."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from ...errors import ModelError
from .settings_file import UNREADABLE, archived_bytes, json_value

_WEIGHTS, _CONSTANTS, _INPUTS = "data/weights/", "data/constants/", "data/sample_inputs/"
_OBJECTS = ("custom_obj", "opaque_obj")


def why_pickled(path: Path) -> str:
    """Why reading the archive would run a pickle; empty when it does not.

    torch itself reads whatever is in it: tensors of subclasses, objects and the weights of older versions are
    pickles, and so are example inputs that are more than tensors.

    Raises:
        ModelError: no such archive.
    """
    if not is_exported(path):
        raise ModelError(f"{path} was not written by torch.export.save")
    for entry in _names(path):
        name = entry.partition("/")[2]
        if name.startswith((_WEIGHTS, _CONSTANTS)) and name.endswith(".pt"):
            return f"its weights ({name}) were written by an older torch"
        if name.startswith(_CONSTANTS) and name.removeprefix(_CONSTANTS).startswith(_OBJECTS):
            return f"{name} is an object"
        if name.startswith((_WEIGHTS, _CONSTANTS)) and name.endswith(".json"):
            if odd := _pickled_tensors(path, entry):
                return f"{odd[0]!r} is no plain tensor"
        elif name.startswith(_INPUTS) and not _plain_tensors(archived_bytes(path, entry)):
            return "its example inputs are more than tensors"
    return ""


def is_exported(path: Path) -> bool:
    """Told by the names in the archive."""
    if not zipfile.is_zipfile(path):
        return False
    names = [name.partition("/")[2] for name in _names(path)]
    return "archive_format" in names and any(name.startswith("models/") for name in names)


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except UNREADABLE as error:
        raise ModelError(f"{path} is an archive that cannot be read: {error}") from error


def _pickled_tensors(path: Path, entry: str) -> list[str]:
    """Names of tensors that a list of weights says to be pickles."""
    listed = json_value(archived_bytes(path, entry), f"{entry} in {path}")
    tensors = listed.get("config") if isinstance(listed, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(known, dict) for known in tensors.values()):
        raise ModelError(f"{entry} in {path} is damaged: it is no list of tensors")
    return [name for name, known in tensors.items() if known.get("use_pickle")]


def _plain_tensors(data: bytes) -> bool:
    import torch

    if not data:
        return True
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # noqa: BLE001 - whatever it is, torch would try again with a full unpickler
        return False
    return True
