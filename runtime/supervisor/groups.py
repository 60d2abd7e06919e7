"""The process groups of the children, and the guard that ends them should this process be killed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from . import guard

logger = logging.getLogger("tiffin.supervisor")


class Groups:
    """Every child leads a group of its own.

    Args:
        guarded: keep a guard; needless for PID 1, whose end is the end of all.
    """

    def __init__(self, *, guarded: bool) -> None:
        self._guarded = guarded
        self._groups: set[int] = set()
        self._guard: subprocess.Popen[bytes] | None = None

    def add(self, group: int) -> None:
        """A child was started."""
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def discard(self, group: int) -> None:
        """Nothing of it is left; to be called before its number can become another's."""
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def look(self) -> None:
        """A child of this process has ended: should it be the guard, killed, another takes its place.

        One that ended by itself cannot work here, and the next could not either.
        """
        if self._guard is not None and (self._guard.poll() or 0) < 0:
            self._replace()

    def close(self) -> None:
        """Nobody is guarded any more."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.kill()  # first: the end of what it reads is the sign for it
            self._guard.wait()
            self._guard.stdin.close()
        self._guard = None

    def _tell(self, line: str) -> None:
        if not self._guarded:
            return
        try:
            if self._guard is not None:
                _write(self._guard, line)
                return
        except OSError:  # it was killed, or stopped and does not read
            pass
        self._replace()

    def _replace(self) -> None:
        """Another guard, who knows all groups."""
        self.close()
        try:
            self._guard = _start()
            _write(self._guard, "".join(f"+{group}\n" for group in self._groups))
        except OSError as error:  # tried again with the next child
            logger.warning("what children start would outlive this process if it were killed: %s", error)
            self.close()


def _start() -> subprocess.Popen[bytes]:
    started = subprocess.Popen(
        [sys.executable, "-I", "-S", str(guard.__file__)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
        bufsize=0,
    )
    if started.stdin is not None:
        os.set_blocking(started.stdin.fileno(), False)
    return started


def _write(to: subprocess.Popen[bytes], text: str) -> None:
    """
    Raises:
        OSError: it has ended, or its pipe is full.
    """
    if to.stdin is not None and to.stdin.write(text.encode()) is None:
        raise BlockingIOError("the guard does not read")
