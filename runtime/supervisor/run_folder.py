"""The private folder of one running server: worker sockets and metric files.

It is locked for as long as the supervisor lives, so that whoever starts next can tell a dead server's folder
from a living one's and sweep it, even after a `kill -9`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from ...errors import ServerError

PREFIX = "tiffin-"
_LOCK = "lock"
_MAX_SOCKET_PATH_BYTES = 103
"""`sun_path` holds 108 bytes on Linux and 104 on macOS, one of them the closing zero."""
_SOCKET_NAME_BYTES = len("/4294967295.sock")


class RunFolder:
    """A 0700 folder that is removed on exit.

    Args:
        parent: where to put it; `$XDG_RUNTIME_DIR`, else the temporary folder.

    Raises:
        ServerError: no folder can be made there.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or parents()[0]
        sweep(parent)
        try:
            self.path, self._lock = _made(parent)
            (self.path / "metrics").mkdir(mode=0o700)
        except OSError as error:
            raise ServerError(
                f"cannot make a folder for the server's sockets in {parent}: {error.strerror}; "
                "set XDG_RUNTIME_DIR or TMPDIR to a folder that can be written"
            ) from error

    def socket_path(self, number: int) -> str:
        return str(self.path / f"{number}.sock")

    def close(self) -> None:
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> RunFolder:  # noqa: PYI034 - Self came with 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def parents() -> list[Path]:
    """The usual places that can be written and leave room for a socket's name, the first choice first."""
    found: dict[Path, None] = {}
    for text in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        if not text:
            continue
        length = len(os.fsencode(text)) + len(f"/{PREFIX}12345678") + _SOCKET_NAME_BYTES
        if length <= _MAX_SOCKET_PATH_BYTES and os.access(text, os.W_OK | os.X_OK):
            found[Path(text)] = None
    found[Path("/tmp")] = None  # noqa: S108 - mkdtemp makes a private folder in it
    return list(found)


def _made(parent: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = _locked(path)
        if lock is not None and (path / _LOCK).exists():
            return path, lock
        if lock is not None:  # another supervisor's sweep took the lock before us and removed the folder
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """The descriptor that holds the folder's lock; None when a living server holds it."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def sweep(parent: Path) -> None:
    """Removes the folders of dead supervisors; one without a lock file is being made, or somebody else's."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid() or not (folder / _LOCK).is_file():
                continue
            lock = _locked(folder)
        except OSError:
            continue  # another supervisor sweeps the same folder
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
