"""The API process's end of its control socket."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import threading
from collections.abc import Callable

from ..supervisor.control import CONTROL_FD, Message, Reader, encode


class Control:
    """Talks with the supervisor; when that is gone this process ends.

    Args:
        end: a connected stream socket.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._reader = Reader()
        self._waiting: list[Message] = []
        threading.Thread(target=self._watch, name="supervisor-watch", daemon=True).start()

    @classmethod
    def inherited(cls) -> Control:
        # Taken out of the environment: a process that the user's code starts has no business with it.
        descriptor = int(os.environ.pop(CONTROL_FD))
        os.set_inheritable(descriptor, False)
        return cls(socket.socket(fileno=descriptor))

    def send(self, message: Message) -> None:
        """Blocks for as long as the supervisor does not read: it always does."""
        with memoryview(encode(message)) as rest:
            sent = 0
            while sent < len(rest):
                select.select([], [self._socket], [])
                sent += self._socket.send(rest[sent:])

    def receive(self) -> Message:
        """Waits for the next message.

        Raises:
            EOFError: the supervisor is gone.
        """
        while not self._waiting:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError("the supervisor is gone")
            self._waiting += self._reader.feed(data)
        return self._waiting.pop(0)

    def follow(self, loop: asyncio.AbstractEventLoop, on_message: Callable[[Message], None]) -> None:
        """Gives every message to `on_message`, in order: those that have come now, later ones in the loop."""
        self._socket.setblocking(False)

        def readable() -> None:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            if not data:
                loop.remove_reader(self._socket)  # the watching thread ends the process
            for message in self._reader.feed(data):
                on_message(message)

        for message in self._waiting:
            on_message(message)
        self._waiting.clear()
        loop.add_reader(self._socket, readable)

    def _watch(self) -> None:
        """Ends the process when the supervisor's end closes, even while user code blocks the event loop."""
        poll = select.poll()
        poll.register(self._socket, 0)  # nothing is asked for; a hang-up is told all the same
        while not any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll()):
            pass
        if os.getpgrp() == os.getpid():  # what the user's code started goes too
            os.killpg(0, signal.SIGKILL)
        os._exit(1)
