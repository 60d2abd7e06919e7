"""Strangers must not be able to fill a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

EVERY_S = 10.0


class Throttle:
    """Writes the first line of each kind at once, and then one every ten seconds that counts the others.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._quiet_until: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def warn(self, kind: str, text: str) -> None:
        """
        Args:
            kind: of a small set.
        """
        now = self._clock()
        if now < self._quiet_until.get(kind, 0.0):
            self._held[kind] = self._held.get(kind, 0) + 1
            return
        held = self._held.pop(kind, 0)
        self._quiet_until[kind] = now + EVERY_S
        self._logger.warning("%s%s", text, f" (and {held} more like it)" if held else "")
