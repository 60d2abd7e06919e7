"""A connection that the gate let in, given to the worker that it is for.

The gate connects to the worker's Unix socket, sends one byte with the connection's descriptor, and closes its
own; from then on worker and API process talk without anybody between them.
"""

from __future__ import annotations

import socket

HANDOVER_S = 1.0
"""How long the worker waits for the descriptor of a connection that was announced: it comes at once."""


class Door(socket.socket):
    """A worker's listening socket, whose connections come through the gate."""

    @classmethod
    def of(cls, listening: socket.socket) -> Door:
        """Takes the socket over."""
        return cls(fileno=listening.detach())

    def accept(self) -> tuple[socket.socket, object]:
        """The next connection that was handed over.

        Raises:
            OSError: the gate ended before it handed anything over.
        """
        gate, address = super().accept()
        with gate:
            gate.settimeout(HANDOVER_S)
            _, fds, _, _ = socket.recv_fds(gate, 1, 1, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
        if not fds:
            raise ConnectionAbortedError("the gate has gone")
        return socket.socket(fileno=fds[0]), address


def hand_over(connection: socket.socket, address: str) -> None:
    """Gives a copy of the connection to a worker; the caller closes its own.

    Args:
        address: path of the worker's Unix socket.

    Raises:
        OSError: the worker is gone, or too many connections wait for it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as worker:
        worker.setblocking(False)
        worker.connect(address)
        socket.send_fds(worker, [b"."], [connection.fileno()])
