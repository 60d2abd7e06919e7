"""The worker's end of the control socket."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

from ..supervisor.control import CONTROL_FD, Drain, Message, Reader, StartWorker, encode


class Control:
    """Talks to the supervisor; the end of the stream means that it is gone."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._reader = Reader()
        self._unread: list[Message] = []

    @classmethod
    def inherited(cls) -> Control:
        """The socket in `$TIFFIN_CONTROL_FD`."""
        number = int(os.environ.pop(CONTROL_FD))
        os.set_inheritable(number, False)
        return cls(socket.socket(fileno=number))

    def start(self) -> StartWorker:
        """Blocks for the first message.

        Raises:
            EOFError: the supervisor has gone before it sent one.
        """
        message = self._next()
        if not isinstance(message, StartWorker):
            raise TypeError(f"the first message was {type(message).__name__}, not StartWorker")
        return message

    def send(self, message: Message) -> None:
        """Tells the supervisor; when it is gone nobody needs to know."""
        try:
            self._socket.sendall(encode(message))
        except OSError:
            os._exit(1)

    def watch(self, on_drain: Callable[[float], None]) -> None:
        """Follows the socket in a thread of its own, so that inference that runs for minutes delays nothing.

        When the supervisor is gone the process ends at once, whatever it does: no orphan keeps a GPU.

        Args:
            on_drain: called with the limit in seconds.
        """

        def follow() -> None:
            try:
                while True:
                    message = self._next()
                    if isinstance(message, Drain):
                        on_drain(message.limit_s)
            except (EOFError, OSError, ValueError):
                os._exit(1)

        threading.Thread(target=follow, name="control", daemon=True).start()

    def _next(self) -> Message:
        while not self._unread:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError("the supervisor has closed the control socket")
            self._unread += self._reader.feed(data)
        return self._unread.pop(0)
