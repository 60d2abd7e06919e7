"""One file for one model or bundle, to carry it from store to store.

A tar, manifest first, then the files in the order of their paths; times, owners and the order of writing
leave no trace, so that equal content makes equal bytes. Reading believes nothing: what the manifest does not
name is refused, and so is what is not as it says.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from ..errors import IntegrityError, StoreError, UnsafeArchiveError, UsageError
from ..runtime.digest import CHUNK_BYTES, open_regular
from ..runtime.manifest import BUNDLE_FILE, MODEL_FILE, FileEntry
from ..runtime.tag import Tag
from ..runtime.verify import check_entries
from ..runtime.words import size_words
from .bar import BytesProgress
from .epoch import EPOCH
from .tar import Member, TarReader

MAX_MANIFEST_BYTES = 16 * 1024 * 1024
MAX_BESIDE_BYTES = 1024 * 1024
"""Of a file that no manifest names."""
MAX_ARCHIVE_BYTES = 1 << 40
"""Bytes of all files together."""

_GZIP_SUFFIXES = (".gz", ".tgz")
_OTHER_SUFFIXES = frozenset({".zip", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar"})
"""Of files that would be something else than they are called."""
TIMES = 1 << 29
"""17 years of seconds, which the times of files in an archive lie in, from `EPOCH` on."""
_GZIP_LEVEL = 6
_PARTIAL = ".partial"
_DEFLATE_RATIO = 1032
"""No deflate stream expands further (https://zlib.net/zlib_tech.html)."""


def archive_path(path: str | Path, tag: Tag) -> Path:
    """A file as it is; in a folder, which text with `/` at its end is in any case, `<name>-<version>.tar`."""
    file = Path(path)
    if file.is_dir() or str(path).endswith(os.sep):
        file /= f"{tag.name}-{tag.version}.tar"
    return file


def write_archive(
    folder: Path,
    manifest_name: str,
    entries: Sequence[FileEntry],
    path: Path,
    on_progress: BytesProgress | None = None,
    *,
    beside: str = "",
) -> Path:
    """Writes `manifest_name` and the files of `entries`; `path` appears when all of it is on disk.

    Args:
        folder: what the entries are relative to.
        manifest_name: a file in `folder`.
        entries: files as the manifest names them; each is checked against its digest on the way.
        path: the new file, replaced when it exists (a link stays, its file is replaced); gzipped when it ends
            in `.gz` or `.tgz`.
        on_progress: called with the bytes done and the bytes in all.
        beside: a small file in `folder` that no manifest names, and that goes along when it is there.

    Raises:
        UsageError: the name promises another kind of archive: `.zip`.
        IntegrityError: a file is missing or is not what its digest says, or `beside` is larger than a reader
            accepts; no archive is left.
        StoreError: the disk is full, `path` is a device or a pipe, or the manifest is larger than a reader
            accepts.
    """
    if path.suffix in _OTHER_SUFFIXES:
        name = path.stem.removesuffix(".tar")
        raise UsageError(f"{path.name}: an archive is a tar: call it {name}.tar, {name}.tar.gz or {name}.tgz")
    if path.exists() and not path.is_file():
        raise StoreError(f"cannot write {path}: it is there and is no file; give another path")
    manifest = (folder / manifest_name).read_bytes()
    if len(manifest) > MAX_MANIFEST_BYTES:
        raise StoreError(
            f"{folder / manifest_name} has {len(manifest)} bytes, an archive takes {MAX_MANIFEST_BYTES}: "
            "put fewer files into it"
        )
    total = sum(entry.size_bytes for entry in entries)
    done = 0
    try:
        with (
            _replacing(path) as raw,
            _compressed(raw, path) as stream,
            tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            digest = hashlib.sha256(manifest).hexdigest()
            tar.addfile(_header(manifest_name, len(manifest), digest), io.BytesIO(manifest))
            if beside and (folder / beside).exists():
                _add_beside(tar, folder, beside)
            for entry in sorted(entries, key=lambda entry: entry.path):
                _add(tar, folder, entry)
                done += entry.size_bytes
                if on_progress is not None:
                    on_progress(done, total)
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        mend = "free some space, or give another path" if full else "give a path that can be written"
        raise StoreError(f"cannot write {path}: {error.strerror or error}; {mend}") from error
    return path


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


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A temporary file beside `path` that takes its name in the end."""
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}."
    _sweep(target.parent, prefix)
    handle, name = _partial(target.parent, prefix)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644 & ~_umask())
            Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _partial(folder: Path, prefix: str) -> tuple[int, str]:
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=_PARTIAL, dir=folder)
        with suppress(OSError):  # some network file systems have no locks: nobody can sweep there either
            fcntl.flock(handle, fcntl.LOCK_EX)
        # A sweeper may have come between the two calls above and taken the file for a leftover.
        if os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)


def _sweep(folder: Path, prefix: str) -> None:
    """Removes what killed exports to the same path have left: the lock of a living one is held."""
    for path in folder.iterdir():
        if not (path.name.startswith(prefix) and path.name.endswith(_PARTIAL)):
            continue
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


@contextmanager
def _compressed(raw: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    if not path.name.endswith(_GZIP_SUFFIXES):
        yield raw
        return
    # Neither a name nor a time in the header: equal content makes equal bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=_GZIP_LEVEL, mtime=0) as packed:
        yield cast(BinaryIO, packed)


class _Hashed:
    """Reads a file for `tarfile` and hashes what goes by."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def _add(tar: tarfile.TarFile, folder: Path, entry: FileEntry) -> None:
    source = folder / entry.path
    damaged = IntegrityError(f"{source} is not what its digest says: nothing was written")
    try:
        file = source.open("rb")
    except FileNotFoundError:
        raise IntegrityError(f"{source} is missing: nothing was written") from None
    with file:
        if os.fstat(file.fileno()).st_size != entry.size_bytes:
            raise damaged
        hashed = _Hashed(file)
        tar.addfile(_header(entry.path, entry.size_bytes, entry.sha256, entry.mode), cast(IO[bytes], hashed))
    if hashed.digest.hexdigest() != entry.sha256:
        raise damaged


def _add_beside(tar: tarfile.TarFile, folder: Path, name: str) -> None:
    with open_regular(folder / name) as file:
        data = file.read(MAX_BESIDE_BYTES + 1)
    if len(data) > MAX_BESIDE_BYTES:
        raise IntegrityError(
            f"{folder / name} has more than {MAX_BESIDE_BYTES} bytes: it was not made by tiffin, take it away"
        )
    tar.addfile(_header(name, len(data), hashlib.sha256(data).hexdigest()), io.BytesIO(data))


def _header(path: str, size_bytes: int, sha256: str, mode: str = "644") -> tarfile.TarInfo:
    """A time that follows from the content: equal content makes equal bytes, and a new version unpacked over
    an old one is seen to differ by what compares time and size only (BuildKit's build context, rsync)."""
    info = tarfile.TarInfo(path)
    info.size = size_bytes
    info.mode = int(mode, 8)
    info.mtime = EPOCH + int(sha256[:8], 16) % TIMES
    return info


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
