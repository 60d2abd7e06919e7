"""Whether the event loop of an API process still turns.

Its listening sockets are everybody's, but a connection that it has accepted is its own: stopped, or held by
user code that blocks, it answers none of them, and nobody else can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .control import Ping
from .process import Child

PING_S = 5.0
"""Between two questions."""
LEAST_SILENT = 6
"""Questions without an answer, at least, however short the requests: user code that imports a library at its
first request, on a busy machine, holds the loop for long as well, and that passes."""


class Pulse:
    """
    Args:
        patience_s: gives how long somebody may wait for an answer of the process, in seconds.
    """

    def __init__(self, patience_s: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._heard = False

    def heard(self) -> None:
        """The process has answered."""
        self._heard = True

    async def until_silent(self, child: Child) -> float:
        """Asks again and again; gives the seconds of silence once they are too many.

        Counts questions, not time: when this process was stopped itself, or the whole machine was, nobody was
        silent meanwhile.
        """
        silent = 0
        while silent < LEAST_SILENT or silent * PING_S <= self._patience_s():
            self._heard = False
            child.send(Ping())
            await asyncio.sleep(PING_S)
            silent = 0 if self._heard else silent + 1
        return silent * PING_S
