"""Tells a closed terminal from `kill -HUP`: both send SIGHUP."""

from __future__ import annotations

import os


class Terminal:
    """The terminal that the command was typed in, if any."""

    def __init__(self) -> None:
        self._had_one = _there()

    @property
    def closed(self) -> bool:
        """It was there at the start and is gone: the kernel takes it away as it sends SIGHUP."""
        return self._had_one and not _there()


def _there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
