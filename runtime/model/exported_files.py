"""What lies in an archive of `torch.export.save`: raw tensors and JSON, or also pickles."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from ...errors import IntegrityError, ModelError

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
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.partition("/")[2]
            if name.startswith((_WEIGHTS, _CONSTANTS)) and name.endswith(".pt"):
                return f"its weights ({name}) were written by an older torch"
            if name.startswith(_CONSTANTS) and name.removeprefix(_CONSTANTS).startswith(_OBJECTS):
                return f"{name} is an object"
            if name.startswith((_WEIGHTS, _CONSTANTS)) and name.endswith(".json"):
                tensors = _json(path, archive.read(entry)).get("config", {})
                if odd := [key for key, known in tensors.items() if known.get("use_pickle")]:
                    return f"{odd[0]!r} is no plain tensor"
            if name.startswith(_INPUTS) and not _plain_tensors(archive.read(entry)):
                return "its example inputs are more than tensors"
    return ""


def is_exported(path: Path) -> bool:
    """Told by the names in the archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
    return "archive_format" in names and any(name.startswith("models/") for name in names)


def _json(path: Path, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise IntegrityError(f"{path} is damaged: {error}") from error
    return found if isinstance(found, dict) else {}


def _plain_tensors(data: bytes) -> bool:
    import torch

    if not data:
        return True
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # noqa: BLE001 - whatever it is, torch would try again with a full unpickler
        return False
    return True
