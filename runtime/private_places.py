"""Folders to write in, where the image leaves none: any user id, a read-only root, no home.

Libraries keep caches and settings below the home; one that cannot be written makes some of them warn, some
slow, and some fail. What is set here is inherited by every process of the server.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from ..errors import ServerError

_BELOW_HOME = {
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
}
"""Where they are when the variable is not set."""


def make_places(environ: MutableMapping[str, str]) -> list[str]:
    """Points `HOME` and what goes with it at a folder below the temporary one, where it cannot be written.

    Returns:
        The variables that were set, for the log.

    Raises:
        ServerError: there is no folder at all that can be written.
    """
    changed = []
    if not _writable(environ.get("HOME", "")):
        environ["HOME"] = str(_made(_temporary()))
        changed.append("HOME")
    for variable, place in _BELOW_HOME.items():
        if environ.get(variable) and not _writable(environ[variable]):
            environ[variable] = str(Path(environ["HOME"]) / place)
            changed.append(variable)
    if environ.get("XDG_RUNTIME_DIR") and not _writable(environ["XDG_RUNTIME_DIR"]):
        del environ["XDG_RUNTIME_DIR"]
        changed.append("XDG_RUNTIME_DIR")
    return changed


def _writable(path: str) -> bool:
    """Whether files can be made there. Modes do not tell: to root everything seems allowed."""
    if not path:
        return False
    try:
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise ServerError(
            f"no folder can be written ({error.strerror or error}): give the container a /tmp, "
            "with docker: --tmpfs /tmp"
        ) from error


def _made(parent: Path) -> Path:
    """The same after a restart, so that caches stay warm; never somebody else's."""
    folder = parent / f"home-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
            return folder
        return Path(tempfile.mkdtemp(prefix="home-", dir=parent))
    except OSError as error:
        raise ServerError(f"cannot make a home in {parent}: {error.strerror or error}") from error
