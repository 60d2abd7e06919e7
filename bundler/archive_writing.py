"""Writing a model or a bundle to one file, which appears when all of it is on disk."""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from ..errors import IntegrityError, StoreError, UsageError
from ..runtime.digest import open_regular
from ..runtime.manifest import FileEntry
from ..runtime.tag import Tag
from .archive import MAX_BESIDE_BYTES, MAX_MANIFEST_BYTES
from .bar import BytesProgress
from .epoch import EPOCH

_GZIP_SUFFIXES = (".gz", ".tgz")
_OTHER_SUFFIXES = frozenset({".zip", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar"})
"""Of files that would be something else than they are called."""
TIMES = 1 << 29
"""17 years of seconds, which the times of files in an archive lie in, from `EPOCH` on."""
_GZIP_LEVEL = 6
_PARTIAL = ".partial"


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
