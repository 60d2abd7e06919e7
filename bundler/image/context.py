"""The build context of a bundle: what is in it, and a tar of it that is written while the engine reads.

Nothing is copied: each file is read once, and hashed on its way, so that an engine never builds an image of
damaged bytes: the stream breaks off before its end. Folders are entries of their own, every time is the same
and modes are those of the store, because all of them become part of the image's layers. The same as a folder,
for engines that keep what they were sent before: `staging`.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ...errors import IntegrityError
from ...runtime.digest import CHUNK_BYTES, open_regular
from ...runtime.manifest import BUNDLE_FILE, FileEntry
from ...runtime.signatures import SIGNATURES_FILE, signature_bytes
from ..bundles import Bundle
from ..epoch import EPOCH
from .layers import Layer, place_of
from .plan import BUNDLE_ROOT

DOCKERFILE_BESIDE = "Dockerfile"
"""Where a Dockerfile that is not the bundle's own lies in the context; no bundle has a file there. The
bundle's own stays as it is: it goes into the image with the bundle, and the server checks it there."""

FOLDER_MODE, TEXT_MODE = 0o755, 0o444
Member = bytes | FileEntry | None
"""A text, a file of the bundle, or a folder."""

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)


def contents(
    bundle: Bundle, *, dockerfile: str | None = None, layers: Sequence[Layer] = ()
) -> dict[str, Member]:
    """What lies where, in the order of the paths; folders stand before what is in them.

    Args:
        bundle: all that its manifest names goes in, its signatures, and nothing else.
        dockerfile: goes in beside the bundle, as `DOCKERFILE_BESIDE`: for other options than the bundle's, or
            for an engine without `COPY --link`.
        layers: of the plan of that Dockerfile; files lie where it copies them from.
    """
    found: dict[str, Member] = {place_of(each.path, layers, BUNDLE_ROOT): each for each in bundle.info.files}
    found[place_of(BUNDLE_FILE, layers, BUNDLE_ROOT)] = (bundle.path / BUNDLE_FILE).read_bytes()
    if signatures := signature_bytes(bundle.path):  # as they are; the server checks them
        found[place_of(SIGNATURES_FILE, layers, BUNDLE_ROOT)] = signatures
    if dockerfile is not None:
        found[DOCKERFILE_BESIDE] = dockerfile.encode()
    found |= dict.fromkeys(f"{layer.place}{layer.folder}" for layer in layers if layer.folder)
    found |= dict.fromkeys(_folders(found))
    found |= dict.fromkeys([path for layer in layers if layer.place for path in _empty(layer, found)])
    found |= dict.fromkeys(_folders(found))
    return {path: found[path] for path in sorted(found)}


def context(
    bundle: Bundle, *, dockerfile: str | None = None, layers: Sequence[Layer] = ()
) -> Iterator[bytes]:
    """The tar in pieces of at most 1 MiB; equal bundles and Dockerfiles give equal bytes.

    Args:
        bundle: as for `contents`, like the rest.

    Yields:
        POSIX.1-2001 tar: folders and files in the order of their paths.

    Raises:
        IntegrityError: a file is missing, or is not what its digest says; raised before the end, so that
            what was read so far is no complete tar.
    """
    for path, member in contents(bundle, dockerfile=dockerfile, layers=layers).items():
        if isinstance(member, bytes):
            yield from _text(path, member)
        elif isinstance(member, FileEntry):
            yield from _file(bundle, member, path)
        else:
            yield _header(path, tarfile.DIRTYPE, 0, FOLDER_MODE)
    yield _END


def mode_of(entry: FileEntry) -> int:
    """As the store has it: nobody writes."""
    return int(entry.mode, 8) & 0o555


def damaged(source: Path) -> IntegrityError:
    return IntegrityError(f"{source} is not what its digest says: no image was built")


def missing(source: Path) -> IntegrityError:
    return IntegrityError(f"{source} is missing: no image was built")


def _empty(layer: Layer, members: Mapping[str, Member]) -> Iterator[str]:
    """The layer's folders without what is in them, at `empty_folders`."""
    start = len(layer.place)
    for path, member in members.items():
        if member is None and path.startswith(f"{layer.place}/"):
            inside = path[start:]
            yield f"{layer.empty_folders_of(inside.count('/'))}{inside}"


def _folders(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _text(path: str, data: bytes) -> Iterator[bytes]:
    yield _header(path, tarfile.REGTYPE, len(data), TEXT_MODE)
    yield data + bytes(-len(data) % _BLOCK)


def _file(bundle: Bundle, entry: FileEntry, path: str) -> Iterator[bytes]:
    source = bundle.path / entry.path
    try:
        file = open_regular(source)
    except FileNotFoundError:
        raise missing(source) from None
    digest = hashlib.sha256()
    with file:
        if os.fstat(file.fileno()).st_size != entry.size_bytes:
            raise damaged(source)
        yield _header(path, tarfile.REGTYPE, entry.size_bytes, mode_of(entry))
        left = entry.size_bytes
        while left:
            chunk = file.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise damaged(source)
            digest.update(chunk)
            left -= len(chunk)
            if left == 0 and digest.hexdigest() != entry.sha256:
                raise damaged(source)  # before the last piece is out
            yield chunk
    if not entry.size_bytes and digest.hexdigest() != entry.sha256:
        raise damaged(source)
    yield bytes(-entry.size_bytes % _BLOCK)


def _header(path: str, kind: bytes, size_bytes: int, mode: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.type = kind
    info.size = size_bytes
    info.mode = mode
    info.mtime = EPOCH
    return info.tobuf(tarfile.PAX_FORMAT)
