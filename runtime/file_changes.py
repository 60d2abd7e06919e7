"""Whether files have changed since they were last read: certificates and tokens that are renewed in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_Fingerprint = tuple[tuple[int, int, int] | None, ...]


class FileChanges:
    """Asked now and then, once a second, say.

    A change counts when the next look finds the same again: nobody reads a file that is half written. What is
    missing counts as a change, too.

    Args:
        paths: of files; symbolic links are followed, so that a mounted secret that is swapped is noticed.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)
        self._read = self._seen = self._look()

    def settled(self) -> bool:
        """Whether they are other than when this last said so, and at rest."""
        now, before = self._look(), self._seen
        self._seen = now
        if now == self._read or now != before:
            return False
        self._read = now
        return True

    def _look(self) -> _Fingerprint:
        return tuple(_fingerprint(path) for path in self._paths)


def _fingerprint(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
