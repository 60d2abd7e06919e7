"""Where the peers of a worker come in."""

from __future__ import annotations

import logging
import select
import socket
import time
from math import inf

log = logging.getLogger("tiffin.worker")

REST_S = 0.1
"""After the system refused to accept: the connection still waits, and asking at once would ask for ever."""


class Entrance:
    """A listening socket among those that are watched.

    Args:
        listener: closed by `close`.
        watched: the poll object of the loop; the socket is taken out of it while it rests.
    """

    def __init__(self, listener: socket.socket, watched: select.poll) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._watched = watched
        self._said = False
        self.opens_at = inf
        """`time.monotonic()` from which it is watched again; inf while it is, or is closed."""
        watched.register(listener, select.POLLIN)

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> socket.socket | None:
        """The next connection; None when there is none, or no descriptor left for it."""
        try:
            end, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError, TimeoutError):  # the peer has gone again
            return None
        except OSError as error:
            if not self._said:
                log.warning("connections cannot be accepted: %s; trying again", error)
            self._said = True
            self._watched.unregister(self._listener)
            self.opens_at = time.monotonic() + REST_S
            return None
        self._said = False
        return end

    def open(self) -> None:
        """Watches it again, once it has rested."""
        if time.monotonic() >= self.opens_at:
            self.opens_at = inf
            self._watched.register(self._listener, select.POLLIN)

    def close(self) -> None:
        """Whoever comes from now on is turned away by the kernel."""
        if self.opens_at == inf:
            self._watched.unregister(self._listener)
        self.opens_at = inf
        self._listener.close()
