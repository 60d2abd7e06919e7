"""The layers that a bundle's files make, in the order of how seldom they change.

A layer that changes makes every later one be pushed again where the engine has no `COPY --link`, so the code
comes last, and each model has a layer of its own: a new model is pushed alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ...runtime.manifest import BUNDLE_FILE, BundleInfo
from ...runtime.service.load import SOURCE_FOLDER
from ...runtime.signatures import SIGNATURES_FILE
from ...runtime.tag import Tag

DOCKER_FOLDER = "env/docker/"
"""Always there: while a bundle is made, the Dockerfile is written last."""
_LEVELS = 9999
"""Less any number of folders that a path of 4,096 bytes can have, it still has four digits."""


class Layer(msgspec.Struct, frozen=True):
    """One COPY."""

    sources: tuple[str, ...]
    """Relative to the bundle's folder; several are files, one that ends in a slash is a folder."""
    target: str
    """Absolute, ending in a slash."""
    why: str
    """A comment for readers of the Dockerfile."""
    place: str = ""
    """Where the files lie in the context, below the whole path that they have in the image; empty: as in the
    bundle."""
    optional: str = ""
    """One more file, which may be missing."""
    folder: str = ""
    """One more folder, absolute, that the layer makes with the date of all the rest."""

    @property
    def empty_folders(self) -> str:
        """Where its folders lie in the context once more, empty, each level in a folder: copied over the
        filled ones they give them their date."""
        return f"{self.place}.empty"

    def empty_folders_of(self, level: int) -> str:
        """Those of one level, of which `/bundle` is the first. BuildKit copies what a pattern finds in the
        order of the names, so the deepest level has the lowest number."""
        return f"{self.empty_folders}/{_LEVELS - level}"

    def holds(self, path: str) -> bool:
        """Whether a file of the bundle is in this layer."""
        return any(
            path.startswith(source) if source.endswith("/") else path == source
            for source in (*self.sources, *filter(None, [self.optional]))
        )


def placed(layers: Sequence[Layer], working_folder: str) -> list[Layer]:
    """The layers with a place of their own each, to be copied onto the root as they are.

    A COPY dates the folders that it makes by the clock; where a context is sent as a folder, so are those
    in it that something was put into. Empty ones keep their date, and a COPY gives it to a folder that is
    there already; with those above it, which are not empty, so the deepest must come first. One pattern
    finds all levels: at a COPY of forty sources BuildKit in Docker 20.10 fails now and then
    (https://github.com/moby/buildkit/issues/1822). (An archive would do, but Docker before 23 starts itself
    anew to unpack one, which takes longer than all the rest.)
    WORKDIR makes its folder by the clock, too, so the first layer has that one already: it can stand before
    the layers that change, and is not run again with them.
    """
    first, *others = layers
    return [
        msgspec.structs.replace(layer, place=f"layers/{number}")
        for number, layer in enumerate([msgspec.structs.replace(first, folder=working_folder), *others])
    ]


def joined(layers: Sequence[Layer], root: str) -> Layer:
    """One layer of several that change together; only with a place of its own can it be one COPY."""
    return Layer(
        tuple(source for layer in layers for source in layer.sources),
        f"{root}/",
        "The code, its descriptions, this Dockerfile and the manifest with its signatures.",
        optional="".join(layer.optional for layer in layers),
    )


def place_of(path: str, layers: Sequence[Layer], root: str) -> str:
    """Where a file of the bundle lies in the context."""
    place = next((layer.place for layer in layers if layer.holds(path)), "")
    return f"{place}{root}/{path}" if place else path


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


def early_layers(info: BundleInfo, root: str) -> list[Layer]:
    """What changes less often than models: the lock, and tiffin's wheel."""
    return _folder_layers(
        info,
        root,
        {"env/python/": "What the dependencies came from; the server checks these files like all others."},
    )


def late_layers(info: BundleInfo, root: str) -> list[Layer]:
    """What changes with the models and the code, and what names them all.

    Args:
        info: of the bundle.
        root: where the bundle is in the image, `/bundle`.
    """
    whys = {
        DOCKER_FOLDER: "This Dockerfile; it names the models.",
        "apis/": "Descriptions of the interface; they change with the code.",
        f"{SOURCE_FOLDER}/": "The code.",
    }
    files = sorted(entry.path for entry in info.files if "/" not in entry.path)
    why = "The manifest, which the server checks all the rest against, and its signatures when it has some."
    manifest = Layer((BUNDLE_FILE, *files), f"{root}/", why, optional=SIGNATURES_FILE)
    return [*_folder_layers(info, root, whys), manifest]  # it is signed after its Dockerfile was written


def _folder_layers(info: BundleInfo, root: str, whys: Mapping[str, str]) -> list[Layer]:
    return [
        Layer((folder,), f"{root}/{folder}", why)
        for folder, why in whys.items()
        if folder == DOCKER_FOLDER or any(entry.path.startswith(folder) for entry in info.files)
    ]


def _size_bytes(info: BundleInfo, prefix: str) -> int:
    return sum(entry.size_bytes for entry in info.files if entry.path.startswith(prefix))


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
