"""The layers that a bundle's files make, in the order of how seldom they change.

A layer that changes makes every later one be pushed again where the engine has no `COPY --link`, so the code
comes last, and each model has a layer of its own: a new model is pushed alone.
"""

from __future__ import annotations

import msgspec

from ...runtime.manifest import BUNDLE_FILE, BundleInfo
from ...runtime.service.load import SOURCE_FOLDER
from ...runtime.tag import Tag


class Layer(msgspec.Struct, frozen=True):
    """One COPY."""

    sources: tuple[str, ...]
    """Relative to the bundle's folder; several are files, one that ends in a slash is a folder."""
    target: str
    """Absolute, ending in a slash."""
    why: str
    """A comment for readers of the Dockerfile."""


def model_layers(info: BundleInfo, root: str) -> list[Layer]:
    """One layer a model, the largest first: the first layers are least often pushed again.

    Args:
        info: of the bundle.
        root: where the bundle is in the image, `/bundle`.
    """
    folders = {f"models/{tag.name}/{tag.version}/": tag for tag in map(Tag.parse, info.models)}
    sizes = {folder: _size_bytes(info, folder) for folder in folders}
    return [
        Layer((folder,), f"{root}/{folder}", f"Model {folders[folder]}, {_size(sizes[folder])}.")
        for folder in sorted(folders, key=lambda folder: (-sizes[folder], folder))
    ]


def file_layers(info: BundleInfo, root: str) -> list[Layer]:
    """All that is no model: what the image was made with, the code, and what names them all."""
    folders = {entry.path.partition("/")[0] for entry in info.files if "/" in entry.path}
    files = sorted(entry.path for entry in info.files if "/" not in entry.path)
    whys = {
        "env": "What the image is made with; the server checks these files like all others.",
        "apis": "Descriptions of the interface; they change with the code.",
        SOURCE_FOLDER: "The code.",
    }
    layers = [Layer((f"{name}/",), f"{root}/{name}/", why) for name, why in whys.items() if name in folders]
    top = (BUNDLE_FILE, *files)
    why = "The manifest, which the server checks all the rest against."
    return [*layers, Layer(top, f"{root}/", why)]


def _size_bytes(info: BundleInfo, prefix: str) -> int:
    return sum(entry.size_bytes for entry in info.files if entry.path.startswith(prefix))


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
