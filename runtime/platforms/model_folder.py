"""Where a platform has put a model, or a whole bundle, beside the image."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ..manifest import BUNDLE_FILE, MODEL_FILE
from ..model.replaced import FOLDER, folders_with

logger = logging.getLogger("tiffin.entrypoint")

MOUNTED = (Path("/opt/ml/model"), Path("/mnt/models"))
"""SageMaker unpacks model data in the first; KServe and others mount the second."""
NAMED = ("AZUREML_MODEL_DIR", "AIP_STORAGE_URI")
"""Variables that name a folder; these come first."""


class Found(NamedTuple):
    folder: Path
    bundle: bool
    """A whole bundle, to be served instead; else models, to be used instead of the bundle's own."""


def look(environ: Mapping[str, str]) -> Found | None:
    """The first folder that holds a bundle or a model; None: the bundle of the image is all there is.

    `TIFFIN_MODEL_DIR` names the only folder to look into.
    """
    for folder in _candidates(environ):
        if not folder.is_dir():
            continue
        try:
            bundle = next(folders_with(folder, BUNDLE_FILE), None)
            if bundle is not None:
                return Found(bundle, bundle=True)
            if next(folders_with(folder, MODEL_FILE), None) is not None:
                return Found(folder, bundle=False)
            empty = next(folder.iterdir(), None) is None
        except OSError as error:
            logger.warning("%s cannot be read, it is not used: %s", folder, error.strerror)
            continue
        if not empty:
            logger.info("%s holds neither a bundle nor a model of tiffin: it is not used", folder)
    return None


def _candidates(environ: Mapping[str, str]) -> list[Path]:
    if chosen := environ.get(FOLDER, ""):
        return [Path(chosen)]
    found = []
    for name in NAMED:
        text = environ.get(name, "")
        scheme = urlsplit(text).scheme
        if scheme == "file":
            found.append(Path(unquote(urlsplit(text).path)))
        elif scheme:
            logger.warning("%s=%s is not downloaded: mount it, or build it into the image", name, text)
        elif text:
            found.append(Path(text))
    return [*found, *MOUNTED]
