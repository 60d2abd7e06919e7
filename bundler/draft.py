"""A folder of a store that is being filled, and becomes a version."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import AlreadyExistsError, IntegrityError, InvalidTagError
from ..runtime.digest import hash_stream, open_regular
from ..runtime.manifest import FileEntry
from ..runtime.model.framework import Copied
from ..runtime.paths import path_problem
from ..runtime.tag import Tag, new_version

if TYPE_CHECKING:
    from .store import Store

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
            sync_folder(store.root)
        self.folder.rename(target)
        try:
            sync_folder(target.parent)
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
            sync_folder(folder)
        sync_folder(self.folder)


def sync_folder(folder: Path) -> None:
    """Flushes the names in it: a file that was renamed into it outlives a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
