"""Which format a file has, told by its content and never by its name; nothing of it is loaded or run."""

from __future__ import annotations

from pathlib import Path

from ...errors import ModelError
from . import boosted, folders, keras, onnx, others, pickles, safe, torch_archive, xgboost
from .found import Found
from .head import Head

# Formats with a magic of their own first; a pickle of an old protocol begins like text.
_FORMATS = (
    folders.look_mlflow,
    folders.look_hugging_face,
    folders.look_spacy,
    keras.look,
    safe.look_skops,
    torch_archive.look,
    safe.look_safetensors,
    boosted.look_lightgbm,
    boosted.look_catboost,
    folders.look_openvino,
    xgboost.look,
    pickles.look,
    onnx.look,
)


def recognise(path: Path) -> Found:
    """What a file or folder seems to be; `Found.servable` says whether it can be served.

    Raises:
        ModelError: nothing is there, or it cannot be read.
    """
    head = Head.of(path)
    return next((found for look in _FORMATS if (found := look(head)) is not None), None) or others.look(head)


def known_model(path: Path) -> Found:
    """The same, for a path that must be a model.

    Raises:
        ModelError: it is none, or none that can be served: names what it seems to be, and what to do.
    """
    found = recognise(path)
    if not found.servable:
        raise ModelError(f"{path.name} seems to be {found.what}: {found.advice}")
    return found


def models_in(folder: Path) -> list[Found]:
    """The models that lie in a folder, by name: its files, and sub-folders that are one model each.

    Raises:
        ModelError: one of them is a model that cannot be served, or cannot be read.
    """
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__")):
            continue
        one = recognise(path)
        if one.servable:
            found.append(one)
        elif one.model:
            raise ModelError(
                f"{path.name} in {folder} seems to be {one.what}: {one.advice}; "
                "or move it out of the folder to serve the others"
            )
    return found
