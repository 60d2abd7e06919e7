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
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreError
from ..runtime.shelf import Shelf
from ..runtime.tag import Tag
from .draft import Draft, sync_folder
from .scratch import Scratch

log = logging.getLogger(__name__)


class Store(Shelf):
    """A shelf that can be written.

    Args:
        root: the folder; made on the first write.
        file: the manifest that every version holds.
    """

    def __init__(self, root: Path, file: str) -> None:
        super().__init__(root, file)
        self._scratch = Scratch(root / ".tmp")

    @contextlib.contextmanager
    def begin(self) -> Iterator[Draft]:
        """Opens a draft; it is removed on leaving unless it was committed.

        Raises:
            StoreError: the disk is full or may not be written; also for such errors raised inside the block.
        """
        with self.explained(), self._scratch.claim() as folder:
            folder.mkdir()
            yield Draft(self, folder)

    def delete(self, tag: str | Tag) -> Tag:
        """Removes one version; works on a full disk too.

        Returns:
            The tag that was removed.

        Raises:
            NotFoundError: no such version.
        """
        with self.explained(), self._scratch.claim() as folder:
            with self.locked():
                found = self.resolve(tag)
                path = self.root / found.name / found.version
                path.rename(folder)
                with contextlib.suppress(OSError):  # other versions are left
                    path.parent.rmdir()
                sync_folder(path.parent if path.parent.exists() else self.root)
            return found

    def warn_if_older(self, tag: Tag) -> None:
        """Logs that `latest` is another version than the one that was just made."""
        newest = self.resolve(Tag(tag.name))
        if newest.version > tag.version:
            log.warning("%s:latest stays %s, which sorts after %s", tag.name, newest.version, tag.version)

    def sweep(self) -> int:
        """Removes what dead processes left behind; says how many drafts."""
        return self._scratch.sweep()

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
