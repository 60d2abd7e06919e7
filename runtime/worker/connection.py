"""The worker's end of one connection."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque

from ...errors import WireError
from ..wire.arena import Arena
from ..wire.frame import Buffer, Frame, FrameReader
from ..wire.push import SOCKET_BYTES, push

log = logging.getLogger("tiffin.worker")

MAX_HELD = 2
"""Batches that a peer may have here: one that runs and the next, so that it is here when the first ends."""
MAX_UNSENT = 4
"""Frames that may wait for a peer when it sends another batch: its answers, and what is said beside them."""


class Connection:
    """Never blocks: what the peer does not take yet waits in memory, a few answers at most."""

    __slots__ = ("_outgoing", "_reader", "_socket", "arena", "greeted", "held", "peer")

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self._socket = end
        self._reader = FrameReader()
        self._outgoing: deque[list[Buffer]] = deque()
        """Frames that the kernel has not taken, or not to their end."""
        self.greeted = False
        self.arena: Arena | None = None
        """Shared memory for large results; None when the peer gave none."""
        self.held: set[int] = set()
        """Numbers of the batches that the peer has sent and that are not answered."""
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
        """Until hello is said descriptors may come along: of the arenas to and from this worker.

        Where this process cannot hold them (no descriptor or no memory is left), all goes through the socket.
        """
        data, fds, _, _ = socket.recv_fds(self._socket, len(space), 2, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
        try:
            if len(fds) == 2:
                self._reader.arena, self.arena = Arena(fds[0]), Arena(fds[1])
        except OSError as error:
            log.warning("no shared memory with a peer: %s", error)
            self._reader.arena = self.arena = None
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
        if not self._outgoing:
            pieces = push(self._socket, pieces)
        if pieces:
            self._outgoing.append(pieces)

    def flush(self) -> None:
        """Sends more of what was left.

        Raises:
            OSError: the peer has gone.
        """
        while self._outgoing:
            self._outgoing[0] = push(self._socket, self._outgoing[0])
            if self._outgoing[0]:
                return
            self._outgoing.popleft()

    def check_call(self, batch: int) -> None:
        """What a peer can make the worker hold is bounded.

        Raises:
            WireError: it has not said hello, has too many batches here, or does not take its answers.
        """
        if not self.greeted:
            raise WireError("a call before hello")
        if len(self.held) >= MAX_HELD or len(self._outgoing) > MAX_UNSENT:
            raise WireError(
                f"batch {batch} came while {len(self.held)} others were not answered "
                f"and {len(self._outgoing)} frames not taken"
            )
        if batch in self.held:
            raise WireError(f"batch {batch} came twice")
        self.held.add(batch)

    def close(self) -> None:
        self._outgoing.clear()
        self._socket.close()
