"""Folders of a store that are no versions yet, or no more: each lies beside a lock that its process holds.

What a process that died leaves has a lock that nobody holds, so that the next one may sweep it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)


class Scratch:
    """
    Args:
        folder: `.tmp` of a store, on the same file system; made when something is first claimed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def claim(self) -> Iterator[Path]:
        """A unique path here that no sweeper touches while this process lives; removed at the end."""
        self.sweep()
        self._folder.mkdir(parents=True, exist_ok=True)
        path, handle = self._locked_path()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            if not path.exists():
                _lock_of(path).unlink(missing_ok=True)
            os.close(handle)

    def _locked_path(self) -> tuple[Path, int]:
        while True:
            path = self._folder / f"{os.getpid()}-{secrets.token_hex(6)}"
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

    def sweep(self) -> int:
        """Removes what dead processes left behind.

        Returns:
            How many drafts were removed; 0 too where the store may not be written.
        """
        swept = 0
        try:
            names = {name.removesuffix(".lock") for name in os.listdir(self._folder)}  # noqa: PTH208 - names only
        except OSError:  # not there, or not ours to read: nothing can be swept
            return 0
        for name in sorted(names):
            try:
                swept += _sweep_one(self._folder / name)
            except OSError as error:  # noqa: PERF203 - one that cannot go must not keep the others
                log.debug("left %s in place: %s", self._folder / name, error)
        return swept


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


def _lock_of(draft: Path) -> Path:
    return draft.with_name(f"{draft.name}.lock")
