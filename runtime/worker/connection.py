"""The worker's end of one connection."""

from __future__ import annotations

import os
import socket

from ...errors import WireError
from ..wire.arena import Arena
from ..wire.frame import Buffer, Frame, FrameReader
from ..wire.push import SOCKET_BYTES, push


class Connection:
    """Never blocks: what the peer does not take yet waits in memory, one answer at most."""

    __slots__ = ("_outgoing", "_reader", "_socket", "arena", "greeted", "holds", "peer")

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self._socket = end
        self._reader = FrameReader()
        self._outgoing: list[Buffer] = []
        self.greeted = False
        self.arena: Arena | None = None
        """Shared memory for large results; None when the peer gave none."""
        self.holds: int | None = None
        """Number of the batch that the peer has sent and that is not answered."""
        self.peer = "a peer that has not said hello"

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def unsent(self) -> bool:
        return bool(self._outgoing)

    def receive(self, *, to_the_end: bool = False) -> list[Frame]:
        """Every frame that has arrived.

        Args:
            to_the_end: read on until the end of the stream; else a read that is not filled ends it, which
                spares a system call.

        Raises:
            ConnectionError: the peer has closed; what it sent before, nobody waits for.
            WireError: the stream is malformed.
        """
        frames: list[Frame] = []
        while True:
            space = self._reader.space()
            try:
                count = self._socket.recv_into(space) if self.greeted else self._receive_first(space)
            except (BlockingIOError, InterruptedError):
                return frames
            if not count:
                if self._reader.partial:
                    raise WireError("the peer closed in the middle of a frame")
                raise ConnectionResetError("the peer has closed")
            frames += self._reader.filled(count)
            if count < len(space) and not to_the_end:
                return frames

    def _receive_first(self, space: memoryview) -> int:
        """Until hello is said descriptors may come along: of the arenas to and from this worker."""
        data, fds, _, _ = socket.recv_fds(self._socket, len(space), 2, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
        try:
            if len(fds) == 2:
                self._reader.arena, self.arena = Arena(fds[0]), Arena(fds[1])
        finally:
            for fd in fds:
                os.close(fd)
        space[: len(data)] = data
        return len(data)

    def send(self, pieces: list[Buffer]) -> None:
        """Sends now what the kernel takes; `flush` sends the rest.

        Raises:
            OSError: the peer has gone.
        """
        self._outgoing = self._outgoing + pieces if self._outgoing else push(self._socket, pieces)

    def flush(self) -> None:
        """Sends more of what was left.

        Raises:
            OSError: the peer has gone.
        """
        self._outgoing = push(self._socket, self._outgoing)

    def check_call(self, batch: int) -> None:
        """A peer has one batch here at a time, so that what it can make the worker hold is bounded.

        Raises:
            WireError: it has not said hello, or has not taken its last answer.
        """
        if not self.greeted:
            raise WireError("a call before hello")
        if self.holds is not None or self._outgoing:
            raise WireError(f"batch {batch} came before the answer to batch {self.holds} was taken")
        self.holds = batch

    def close(self) -> None:
        self._outgoing.clear()
        self._socket.close()
