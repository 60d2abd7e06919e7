"""Unpacking an archive that another store has written, or somebody who means harm.

Reading believes nothing: what the manifest does not name is refused, and so is what is not as it says.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ..errors import IntegrityError, StoreError, UnsafeArchiveError
from ..runtime.digest import CHUNK_BYTES
from ..runtime.manifest import BUNDLE_FILE, MODEL_FILE, FileEntry
from ..runtime.verify import check_entries
from ..runtime.words import size_words
from .archive import MAX_BESIDE_BYTES, MAX_MANIFEST_BYTES
from .bar import BytesProgress
from .tar import Member, TarReader

MAX_ARCHIVE_BYTES = 1 << 40
"""Bytes of all files together."""
_DEFLATE_RATIO = 1032
"""No deflate stream expands further (https://zlib.net/zlib_tech.html)."""


def read_archive(
    path: Path,
    manifest_name: str,
    into: Path,
    parse: Callable[[bytes], Sequence[FileEntry]],
    on_progress: BytesProgress | None = None,
    *,
    max_bytes: int = MAX_ARCHIVE_BYTES,
    beside: str = "",
) -> None:
    """Unpacks an archive into a fresh folder, which the caller throws away when this raises.

    Args:
        path: plain or gzipped tar.
        manifest_name: the file that must come first; at most 16 MiB.
        into: an empty folder, on the disk of the store and outside of what readers see.
        parse: gets the bytes of the manifest, checks what it says of itself (its digest too), returns its
            files.
        on_progress: called with the bytes of `path` that were read and its size.
        max_bytes: refuses a manifest that names more.
        beside: a file of at most 1 MiB that may be there though no manifest names it; whether it is what it
            should be, the caller finds out.

    Raises:
        UnsafeArchiveError: it would write outside, expand without bound, or holds what no manifest names.
        IntegrityError: damaged, cut short, or bytes are not what their digest says.
        StoreError: the file cannot be read, or its content does not fit the disk.
    """
    try:
        with TarReader(path) as tar:
            entries = {entry.path: entry for entry in _read_manifest(tar, path, manifest_name, into, parse)}
            _check_total(tar, path, into, entries, max_bytes)
            _unpack(tar, path, into, entries, on_progress, beside)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def _read_manifest(
    tar: TarReader, path: Path, name: str, into: Path, parse: Callable[[bytes], Sequence[FileEntry]]
) -> Sequence[FileEntry]:
    member = tar.next()
    if member is None or member.path != name:
        raise UnsafeArchiveError(f"{path} does not start with {name}: {_what_instead(member)}")
    if member.size_bytes > MAX_MANIFEST_BYTES:
        raise UnsafeArchiveError(
            f"{path}: {name} has {member.size_bytes} bytes, the limit is {MAX_MANIFEST_BYTES}"
        )
    data = tar.read(member.size_bytes)
    entries = parse(data)
    if problem := check_entries(list(entries), manifest=name):
        raise UnsafeArchiveError(f"{path}: {name} is hostile or damaged: {problem}")
    with _create(into / name, "644") as file:
        file.write(data)
    return entries


def _what_instead(member: Member | None) -> str:
    kinds = {
        MODEL_FILE: "it holds a model, which `bundle models import` takes",
        BUNDLE_FILE: "it holds a bundle, which `bundle import` takes",
    }
    return kinds.get(member.path if member is not None else "", "it was not made by tiffin")


def _check_total(
    tar: TarReader, path: Path, into: Path, entries: dict[str, FileEntry], max_bytes: int
) -> None:
    total = sum(entry.size_bytes for entry in entries.values())
    held = path.stat().st_size * (_DEFLATE_RATIO if tar.gzipped else 1)
    if total > max_bytes:
        raise UnsafeArchiveError(f"{path} would unpack to {total} bytes, the limit is {max_bytes}")
    if total > held:
        raise IntegrityError(f"{path} is cut short: its manifest names {total} bytes")
    free = shutil.disk_usage(into).free
    if total > free:
        raise StoreError(
            f"{path} needs {size_words(total)} in {into.parent}, {size_words(free)} are free: "
            "free some space, or set TIFFIN_HOME to another disk"
        )


def _unpack(  # noqa: PLR0917 - read_archive's own arguments
    tar: TarReader,
    path: Path,
    into: Path,
    entries: dict[str, FileEntry],
    on_progress: BytesProgress | None,
    beside: str,
) -> None:
    archive_bytes = path.stat().st_size
    missing = dict(entries)
    while (member := tar.next()) is not None:
        if beside and member.path == beside and beside not in entries:
            _take_beside(tar, path, into, member)
            continue
        entry = missing.pop(member.path, None)
        if entry is None:
            why = "is there twice" if member.path in entries else "is not in its manifest"
            raise UnsafeArchiveError(f"{path}: {member.path!r} {why}")
        if member.size_bytes != entry.size_bytes:
            raise UnsafeArchiveError(
                f"{path}: {member.path!r} has {member.size_bytes} bytes, its manifest says {entry.size_bytes}"
            )
        for _ in _copy(tar, path, into, entry):
            if on_progress is not None:
                on_progress(tar.position, archive_bytes)
    if missing:
        raise IntegrityError(f"{path}: {min(missing)!r} is missing ({len(missing)} files in all)")


def _take_beside(tar: TarReader, path: Path, into: Path, member: Member) -> None:
    if member.size_bytes > MAX_BESIDE_BYTES or (into / member.path).exists():
        raise UnsafeArchiveError(f"{path}: {member.path!r} is there twice, or too large")
    with _create(into / member.path, "644") as file:
        file.write(tar.read(member.size_bytes))


def _copy(tar: TarReader, path: Path, into: Path, entry: FileEntry) -> Iterator[None]:
    target = into / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    left = entry.size_bytes
    with _create(target, entry.mode) as file:
        while left:
            chunk = tar.read(min(left, CHUNK_BYTES))
            file.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
            yield
    if digest.hexdigest() != entry.sha256:
        raise IntegrityError(f"{path}: {entry.path!r} is not what its digest says")


def _create(path: Path, mode: str) -> BinaryIO:
    """A new file; an existing one or a link in its place is an error."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, int(mode, 8)), "wb")
