"""Folders that an engine reads a build context from, `<home>/bundles/.contexts/<name>/`, while a build runs.

The path is the same for each build of one name, because a client of BuildKit derives from it what the engine
has already (its shared key), so that only what is new is sent. A second build of that name at once gets a
folder of its own. What a killed build left is removed by the next build and by `sweep`.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..runtime.home import bundles_folder

_LOCK = ".lock"


@contextmanager
def context_folder(name: str) -> Iterator[Path]:
    """An empty folder, removed on leaving.

    Args:
        name: as a bundle may have it, without `@`.

    Raises:
        OSError: it cannot be made.
    """
    root = bundles_folder() / ".contexts"
    root.mkdir(parents=True, exist_ok=True)
    sweep()
    place, handle = _claim(root, name)
    try:
        shutil.rmtree(place, ignore_errors=True)  # left since the sweep
        place.mkdir()
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(handle)


def sweep() -> None:
    """Removes what dead builds left: their links would keep the files of deleted bundles on the disk."""
    root = bundles_folder() / ".contexts"
    with suppress(OSError):  # not there, or not ours
        for path in [path for path in root.iterdir() if path.suffix != _LOCK]:
            handle = _lock(path)
            if handle is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(handle)


def _claim(root: Path, name: str) -> tuple[Path, int]:
    for number in itertools.count(1):
        place = root / (name if number == 1 else f"{name}@{number}")
        handle = _lock(place)
        if handle is not None:
            return place, handle
    raise AssertionError  # there is no last number


def _lock(place: Path) -> int | None:
    """The lock of a folder; None: a living build has it. Locks stay: one that is removed while somebody opens
    it anew would be held by two."""
    handle = os.open(f"{place}{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:  # a file system without locks
        os.close(handle)
        raise
    return handle
