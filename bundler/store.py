"""The writing side of a store of versioned folders: crash-safe, safe for several processes at once.

    <root>/.lock                    held while a version is named and moved into place
    <root>/.tmp/<unique>.lock       held by the process that writes the draft beside it
    <root>/.tmp/<unique>/           a draft, or a version on its way out
    <root>/<name>/<version>/        whole versions only; their files are read-only

A draft is filled, flushed to the disk and renamed; a crash at any byte leaves the old state or the new one.
What it leaves in `.tmp` has a lock that nobody holds, so the next command knows that it may sweep it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from ..errors import AlreadyExistsError, IntegrityError, InvalidTagError, StoreError
from ..runtime.digest import hash_stream, open_regular
from ..runtime.manifest import FileEntry
from ..runtime.model.framework import Copied
from ..runtime.paths import path_problem
from ..runtime.shelf import Shelf
from ..runtime.tag import Tag, new_version

log = logging.getLogger(__name__)

_EXECUTABLE = 0o111
# Hard links are an optimisation: these mean that the file system cannot or may not, so the bytes are copied.
_NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS}


class Draft:
    """A folder being filled. Made by `Store.begin`; becomes a version by `commit`, else it is removed.

    Attributes:
        folder: an empty folder on the store's file system.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self.folder = folder
        self._synced: set[str] = set()

    def add(self, source: Path, path: str) -> FileEntry:
        """Copies a file into the draft and hashes it on the way.

        Args:
            source: a regular file; its executable bit is kept.
            path: POSIX path in the draft.
        """
        target = self._target(path)
        with open_regular(source) as reader, target.open("xb") as writer:
            mode = "755" if os.fstat(reader.fileno()).st_mode & _EXECUTABLE else "644"
            digest, size = hash_stream(reader, writer)
            writer.flush()
            os.fchmod(writer.fileno(), int(mode, 8))
            os.fsync(writer.fileno())
        self._synced.add(path)
        return FileEntry(path=path, size_bytes=size, sha256=digest, mode=mode)

    def link(self, source: Path, path: str) -> None:
        """Puts a file of a store into the draft without copying it, where the file system can.

        Args:
            source: a file that is never written again, such as one of a committed version.
            path: POSIX path in the draft.
        """
        target = self._target(path)
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            self.add(source, path)

    def entries(
        self,
        copied: Mapping[Path, Copied] = MappingProxyType({}),
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[FileEntry]:
        """Every file in the draft, by path; each is read once, hashed, and flushed to the disk.

        Args:
            copied: files that were hashed when they were written; they are not read again.
            on_progress: called with the bytes done and the bytes in all, after each file.

        Raises:
            IntegrityError: a link or another thing that is no regular file.
        """
        found = []
        paths = list(self._files())
        done, total = 0, sum(path.lstat().st_size for path in paths)
        for path in paths:
            relative = path.relative_to(self.folder).as_posix()
            with open_regular(path) as source:
                status = os.fstat(source.fileno())
                mode = "755" if status.st_mode & _EXECUTABLE else "644"
                known = copied.get(path)
                if known is not None and (known.size_bytes, known.written_ns) == (
                    status.st_size,
                    status.st_mtime_ns,
                ):
                    digest, size = known.sha256, known.size_bytes
                else:
                    digest, size = hash_stream(source)
                os.fsync(source.fileno())
            self._synced.add(relative)
            found.append(FileEntry(path=relative, size_bytes=size, sha256=digest, mode=mode))
            if on_progress is not None:
                done += size
                on_progress(done, total)
        return found

    def commit(self, name: str, version: str | None, finish: Callable[[str], None]) -> Path:
        """Makes the draft a version.

        Args:
            name: of the model or bundle.
            version: None allots one that sorts after every other of this name.
            finish: writes the manifest, now that the version is known; called under the store's lock.

        Returns:
            The folder of the new version.

        Raises:
            AlreadyExistsError: that version exists.
            StoreError: the disk is full or may not be written; nothing was changed.
        """
        if version is not None and Tag(name, version).is_latest:
            raise InvalidTagError("'latest' stands for the newest version and cannot be the name of one")
        with self._store.explained():
            self._flush()  # the slow part, before anybody has to wait for the lock
            with self._store.locked():
                return self._publish(name, version, finish)

    def _publish(self, name: str, version: str | None, finish: Callable[[str], None]) -> Path:
        store = self._store
        versions = store.versions(name)
        allotted = version or new_version(after=versions[-1] if versions else None)
        target = store.root / name / allotted
        if target.exists():
            raise AlreadyExistsError(
                f"{store.noun} {name}:{allotted} exists: delete it or give another version"
            )
        finish(allotted)
        self._flush()
        fresh = not target.parent.exists()
        target.parent.mkdir(exist_ok=True)
        if fresh:
            _sync_folder(store.root)
        self.folder.rename(target)
        try:
            _sync_folder(target.parent)
        except OSError:
            target.rename(self.folder)  # it might not outlive a power cut: it was not saved
            raise
        return target

    def _target(self, path: str) -> Path:
        if problem := path_problem(path):
            raise IntegrityError(f"{path!r} {problem}: it cannot go into a {self._store.noun}")
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_symlink() or not path.is_dir())

    def _flush(self) -> None:
        for path in self._files():
            relative = path.relative_to(self.folder).as_posix()
            with open_regular(path) as file:
                mode = os.fstat(file.fileno()).st_mode
                os.fchmod(file.fileno(), 0o555 if mode & _EXECUTABLE else 0o444)
                if relative not in self._synced:
                    os.fsync(file.fileno())
                    self._synced.add(relative)
        for folder in [path for path in self.folder.rglob("*") if path.is_dir()]:
            _sync_folder(folder)
        _sync_folder(self.folder)


class Store(Shelf):
    """A shelf that can be written.

    Args:
        root: the folder; made on the first write.
        file: the manifest that every version holds.
    """

    @contextlib.contextmanager
    def begin(self) -> Iterator[Draft]:
        """Opens a draft; it is removed on leaving unless it was committed.

        Raises:
            StoreError: the disk is full or may not be written; also for such errors raised inside the block.
        """
        with self.explained(), self._claim() as folder:
            folder.mkdir()
            yield Draft(self, folder)

    def delete(self, tag: str | Tag) -> Tag:
        """Removes one version; works on a full disk too.

        Returns:
            The tag that was removed.

        Raises:
            NotFoundError: no such version.
        """
        with self.explained(), self._claim() as folder:
            with self.locked():
                found = self.resolve(tag)
                path = self.root / found.name / found.version
                path.rename(folder)
                with contextlib.suppress(OSError):  # other versions are left
                    path.parent.rmdir()
                _sync_folder(path.parent if path.parent.exists() else self.root)
            return found

    def warn_if_older(self, tag: Tag) -> None:
        """Logs that `latest` is another version than the one that was just made."""
        newest = self.resolve(Tag(tag.name))
        if newest.version > tag.version:
            log.warning("%s:latest stays %s, which sorts after %s", tag.name, newest.version, tag.version)

    def sweep(self) -> int:
        """Removes what dead processes left behind.

        Returns:
            How many drafts were removed; 0 too where the store may not be written.
        """
        swept = 0
        temporary = self.root / ".tmp"
        try:
            names = {name.removesuffix(".lock") for name in os.listdir(temporary)}  # noqa: PTH208 - names only
        except OSError:  # not there, or not ours to read: nothing can be swept
            return 0
        for name in sorted(names):
            try:
                swept += self._sweep_one(temporary / name)
            except OSError as error:  # noqa: PERF203 - one that cannot go must not keep the others
                log.debug("left %s in place: %s", temporary / name, error)
        return swept

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Waits for and holds the store's lock; short, and never while bytes are written."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turns errors of the file system into a `StoreError` that says how to mend them."""
        try:
            yield
        except OSError as error:
            hint = _HINTS.get(error.errno or 0)
            elsewhere = error.filename is not None and not str(error.filename).startswith(str(self.root))
            if hint is None or elsewhere:
                raise
            raise StoreError(
                f"cannot write to {self.root}: {error.strerror}; {hint}; nothing was changed"
            ) from error

    @contextlib.contextmanager
    def _claim(self) -> Iterator[Path]:
        """A unique path in `.tmp` that no sweeper touches while this process lives; removed at the end."""
        self.sweep()
        temporary = self.root / ".tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        path, handle = self._claim_lock(temporary)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            if not path.exists():
                _lock_of(path).unlink(missing_ok=True)
            os.close(handle)

    @staticmethod
    def _claim_lock(temporary: Path) -> tuple[Path, int]:
        while True:
            path = temporary / f"{os.getpid()}-{secrets.token_hex(6)}"
            lock = _lock_of(path)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A sweeper may have come between the two calls above and taken the file for a leftover.
                if os.fstat(handle).st_nlink:
                    return path, handle
            except BlockingIOError:
                pass
            os.close(handle)

    @staticmethod
    def _sweep_one(path: Path) -> int:
        lock = _lock_of(path)
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # The lock is made before the folder and removed after it: a folder alone belongs to nobody.
            if not path.exists():
                return 0
            shutil.rmtree(path)
            return 1
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # its writer lives
        else:
            if path.exists():
                shutil.rmtree(path)
            lock.unlink(missing_ok=True)
            return 1
        finally:
            os.close(handle)


_HINTS = {
    errno.ENOSPC: "free some space, or set TIFFIN_HOME to another disk",
    errno.EDQUOT: "your disk quota is used up: free some space, or set TIFFIN_HOME to another disk",
    errno.EROFS: "the file system is read-only: set TIFFIN_HOME to a folder that can be written",
    errno.EACCES: "check the permissions, or set TIFFIN_HOME to a folder of yours",
    errno.EPERM: "check the permissions, or set TIFFIN_HOME to a folder of yours",
    errno.EIO: "the disk reports an error",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENAMETOOLONG: "the path is too long for this file system",
    errno.ENOTDIR: "a file is in the way where a folder should be",
}


def _lock_of(draft: Path) -> Path:
    return draft.with_name(f"{draft.name}.lock")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
