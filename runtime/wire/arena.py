"""Shared memory of one direction of a connection, for the buffers of large frames.

A memory file without a name, made by the API process and handed to the worker with its hello, so that
nothing is left behind whoever dies. It has two rooms, so that a frame can lie in one while the frame before
it is still read in the other. The sender copies its buffers into a room and marks it as lent; the receiver
reads them in place and takes the mark away when the last array that looks at them is gone. While both are
lent, or when a frame does not fit, the buffers go through the socket.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import WireError

if TYPE_CHECKING:
    from .frame import Buffer, Part

ALIGNMENT = 64
ARENA_BYTES = 16 * 1024 * 1024
"""Of each room, for the buffers of a frame. Pages come as they are first used and then stay, and there may be
many pairs of processes with two arenas each."""
ROOMS = 2
SMALLEST_BYTES = 64 * 1024
"""Smaller frames go through the socket. By benchmarks/wire.py on two cores of an AMD EPYC an arena is as fast
as the socket at 32 KiB, 1.8 times as fast at 64 KiB, 3 to 5 times from 256 KiB to 4 MiB, 2 times at 16 MiB;
memory that is new for every frame is slower than the socket at nearly all sizes."""
_FIRST = ALIGNMENT
"""Where the first room begins; before it, a byte a room: 1 while it is lent."""
_SEALED = 0x0002 | 0x0004  # F_SEAL_SHRINK | F_SEAL_GROW: nobody can pull the memory from under the other side


class Gathered:
    """One buffer of a frame that lies in several pieces of memory: the rows of many callers.

    Args:
        pieces: flat bytes, in order.
        size: bytes of all.
    """

    __slots__ = ("pieces", "size")

    def __init__(self, pieces: list[Buffer], size: int) -> None:
        self.pieces = pieces
        self.size = size

    def __len__(self) -> int:
        return self.size


class Arena:
    """One end of it; the sender lends, the receiver borrows.

    Args:
        fd: a sealed memory file; not closed here.

    Raises:
        WireError: the file is not one, or too small.
        OSError: the system cannot map it now.
    """

    def __init__(self, fd: int) -> None:
        import numpy as np

        try:
            sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError:
            sealed = 0
        size = os.fstat(fd).st_size
        if sealed & _SEALED != _SEALED or size < _FIRST + ROOMS * ALIGNMENT:
            raise WireError("a peer handed over a file that is no arena")
        try:
            self._memory = np.frombuffer(mmap.mmap(fd, size), np.uint8)
        except (ValueError, OverflowError) as error:
            raise WireError(f"an arena of {size:,} bytes cannot be mapped: {error}") from error
        self._marks = memoryview(self._memory)[:ROOMS]  # type: ignore[arg-type]
        self.capacity = (size - _FIRST) // ROOMS // ALIGNMENT * ALIGNMENT
        """Bytes of a room."""

    def lend(self, buffers: Sequence[Part], size: int) -> int:
        """Copies the buffers in and gives the number of their room; -1 when they do not fit or none is free.

        Args:
            size: bytes that they take with each at a multiple of 64.
        """
        if size > self.capacity:
            return -1
        for room in range(ROOMS):
            if not self._marks[room]:
                break
        else:
            return -1
        self._marks[room] = 1
        at = _FIRST + room * self.capacity
        for buffer in buffers:
            at += -at % ALIGNMENT
            for piece in buffer.pieces if isinstance(buffer, Gathered) else (buffer,):
                self._memory[at : at + len(piece)] = memoryview(piece)
                at += len(piece)
        return room

    def borrow(self, sizes: Sequence[int], room: int) -> list[memoryview]:
        """The buffers that were lent in a room; they are given back when nobody refers to them any more.

        Raises:
            WireError: they would reach past the end.
        """
        first = _FIRST + room * self.capacity
        loan = self._memory[first : first + self.capacity]
        weakref.finalize(loan, self._give_back, room).atexit = False
        view = memoryview(loan)  # type: ignore[arg-type]
        buffers, at = [], 0
        for size in sizes:
            at += -at % ALIGNMENT
            if at + size > self.capacity:
                raise WireError(f"a buffer of {size:,} bytes reaches past the end of its room in the arena")
            buffers.append(view[at : at + size])
            at += size
        return buffers

    def _give_back(self, room: int) -> None:
        self._marks[room] = 0


def spread(sizes: Sequence[int]) -> int:
    """Bytes that buffers of these sizes take with each at a multiple of 64."""
    at = 0
    for size in sizes:
        at += -at % ALIGNMENT + size
    return at


def memory_file() -> int:
    """A descriptor for a new arena of zeros; takes memory only as it is used.

    Raises:
        OSError: the system has no such files.
    """
    if not hasattr(os, "memfd_create"):
        raise OSError("no memory files on this system")
    fd = os.memfd_create("tiffin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.truncate(fd, _FIRST + ROOMS * ARENA_BYTES)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALED)
    except OSError:
        os.close(fd)
        raise
    return fd
