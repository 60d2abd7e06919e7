"""Writing frames to a socket that does not block."""

from __future__ import annotations

import socket

from .frame import Buffer

MAX_PIECES = 512
"""Buffers given to one system call; the kernel takes no more than 1,024."""
SOCKET_BYTES = 1024 * 1024
"""Kernel buffer for sending: a typical batch fits, so that sending one is a single system call."""


def push(end: socket.socket, pieces: list[Buffer]) -> list[Buffer]:
    """Sends what the kernel takes now; gives what is left, to be sent when the socket is writable again.

    Raises:
        OSError: the peer has gone.
    """
    at = 0
    try:
        while at < len(pieces):
            last = at == len(pieces) - 1
            sent = end.send(pieces[at]) if last else end.sendmsg(pieces[at : at + MAX_PIECES])
            while at < len(pieces) and sent >= len(pieces[at]):
                sent -= len(pieces[at])
                at += 1
            if sent:
                pieces[at] = memoryview(pieces[at])[sent:]
    except (BlockingIOError, InterruptedError):
        pass
    return pieces[at:]
