"""The build context of a bundle: a tar that is written while the engine reads it.

Nothing is copied: each file is read once, and hashed on its way, so that an engine never builds an image of
damaged bytes: the stream breaks off before its end. Folders are entries of their own and every time is the
same, because both become part of the image's layers.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

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

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)


def context(
    bundle: Bundle, *, dockerfile: str | None = None, layers: Sequence[Layer] = ()
) -> Iterator[bytes]:
    """The tar in pieces of at most 1 MiB; equal bundles and Dockerfiles give equal bytes.

    Args:
        bundle: all that its manifest names goes in, its signatures, and nothing else.
        dockerfile: goes in beside the bundle, as `DOCKERFILE_BESIDE`: for other options than the bundle's, or
            for an engine without `COPY --link`.
        layers: of the plan of that Dockerfile; files lie where it copies them from.

    Yields:
        POSIX.1-2001 tar: folders and files in the order of their paths.

    Raises:
        IntegrityError: a file is missing, or is not what its digest says; raised before the end, so that
            what was read so far is no complete tar.
    """
    texts = {place_of(BUNDLE_FILE, layers, BUNDLE_ROOT): (bundle.path / BUNDLE_FILE).read_bytes()}
    if signatures := signature_bytes(bundle.path):  # as they are; the server checks them
        texts[place_of(SIGNATURES_FILE, layers, BUNDLE_ROOT)] = signatures
    if dockerfile is not None:
        texts[DOCKERFILE_BESIDE] = dockerfile.encode()
    entries = {place_of(entry.path, layers, BUNDLE_ROOT): entry for entry in bundle.info.files}
    made = [f"{layer.place}{layer.folder}" for layer in layers if layer.folder]
    for path in sorted({*entries, *texts, *made, *_folders([*entries, *texts, *made])}):
        if path in texts:
            yield from _text(path, texts[path])
        elif path in entries:
            yield from _file(bundle, entries[path], path)
        else:
            yield _header(path, tarfile.DIRTYPE, 0, "755")
    yield _END


def _folders(paths: Iterable[str]) -> set[str]:
    return {str(folder) for path in paths for folder in PurePosixPath(path).parents if str(folder) != "."}


def _text(path: str, data: bytes) -> Iterator[bytes]:
    yield _header(path, tarfile.REGTYPE, len(data), "644")
    yield data + bytes(-len(data) % _BLOCK)


def _file(bundle: Bundle, entry: FileEntry, path: str) -> Iterator[bytes]:
    source = bundle.path / entry.path
    damaged = IntegrityError(f"{source} is not what its digest says: no image was built")
    try:
        file = open_regular(source)
    except FileNotFoundError:
        raise IntegrityError(f"{source} is missing: no image was built") from None
    digest = hashlib.sha256()
    with file:
        if os.fstat(file.fileno()).st_size != entry.size_bytes:
            raise damaged
        yield _header(path, tarfile.REGTYPE, entry.size_bytes, entry.mode)
        left = entry.size_bytes
        while left:
            chunk = file.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise damaged
            digest.update(chunk)
            left -= len(chunk)
            if left == 0 and digest.hexdigest() != entry.sha256:
                raise damaged  # before the last piece is out
            yield chunk
    if not entry.size_bytes and digest.hexdigest() != entry.sha256:
        raise damaged
    yield bytes(-entry.size_bytes % _BLOCK)


def _header(path: str, kind: bytes, size_bytes: int, mode: str) -> bytes:
    info = tarfile.TarInfo(path)
    info.type = kind
    info.size = size_bytes
    info.mode = int(mode, 8)
    info.mtime = EPOCH
    return info.tobuf(tarfile.PAX_FORMAT)
