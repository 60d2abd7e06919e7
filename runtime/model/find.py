"""Where a service finds its models: in its bundle when it runs from one, or what takes their place; else in
the store."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import NotFoundError
from ..home import models_folder
from ..manifest import MODEL_FILE
from ..shelf import Shelf
from ..tag import Tag
from .model import Model
from .replaced import replaced

BUNDLE = "TIFFIN_BUNDLE"


def shelf() -> Shelf:
    """`<bundle>/models` when `TIFFIN_BUNDLE` names a bundle folder, else `<home>/models`."""
    bundle = os.environ.get(BUNDLE)
    return Shelf(Path(bundle) / "models" if bundle else models_folder(), MODEL_FILE)


def find(tag: str | Tag) -> Model:
    """The model with that tag; `latest` is the highest version there.

    Args:
        tag: `iris`, `iris:latest`, `iris:6f3k2q…`, or the first 6 or more characters of a version.

    Raises:
        NotFoundError: names the nearest; in a bundle, how to bring the model along.
        ConfigError: `TIFFIN_MODEL_DIR` names no folder.
    """
    place = shelf()
    try:
        found = place.resolve(tag)
    except NotFoundError as error:
        if not os.environ.get(BUNDLE):
            raise
        raise NotFoundError(
            f"{error}. A bundle brings only its own models: "
            f"add {str(tag)!r} to `models:` of bundlefile.yaml and build it again"
        ) from None
    if os.environ.get(BUNDLE) and (instead := replaced().get(found.name)) is not None:
        return Model.open(instead)
    return Model(place.root / found.name / found.version, found)
