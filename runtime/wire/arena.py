"""Shared memory of one direction of a connection, for the buffers of large frames.

A memory file without a name, made by the API process and handed to the worker with its hello, so that
nothing is left behind whoever dies. The sender copies its buffers in and marks the arena as lent; the
receiver reads them in place and takes the mark away when the last array that looks at them is gone. While it
is lent, or when a frame does not fit, the buffers go through the socket.
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
"""Room for the buffers of a frame. Pages come as they are first used and then stay, and there may be many
pairs of processes with two arenas each."""
SMALLEST_BYTES = 64 * 1024
"""Smaller frames go through the socket. By benchmarks/wire.py on two cores of an AMD EPYC an arena is as fast
as the socket at 32 KiB, 1.8 times as fast at 64 KiB, 3 to 5 times from 256 KiB to 4 MiB, 2 times at 16 MiB;
memory that is new for every frame is slower than the socket at nearly all sizes."""
_MARK = 0
_FIRST = ALIGNMENT
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
    """

    def __init__(self, fd: int) -> None:
        import numpy as np

        try:
            sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError:
            sealed = 0
        size = os.fstat(fd).st_size
        if sealed & _SEALED != _SEALED or size <= _FIRST:
            raise WireError("a peer handed over a file that is no arena")
        try:
            self._memory = np.frombuffer(mmap.mmap(fd, size), np.uint8)
        except (OSError, ValueError, OverflowError) as error:
            raise WireError(f"an arena of {size:,} bytes cannot be mapped: {error}") from error
        self._mark = memoryview(self._memory)[_MARK : _MARK + 1]  # type: ignore[arg-type]
        self.capacity = size - _FIRST

    def lend(self, buffers: Sequence[Part], size: int) -> bool:
        """Copies the buffers in, if there is room and the last ones were let go.

        Args:
            size: bytes that they take with each at a multiple of 64.
        """
        if size > self.capacity or self._mark[0]:
            return False
        self._mark[0] = 1
        at = _FIRST
        for buffer in buffers:
            at += -at % ALIGNMENT
            for piece in buffer.pieces if isinstance(buffer, Gathered) else (buffer,):
                self._memory[at : at + len(piece)] = memoryview(piece)
                at += len(piece)
        return True

    def borrow(self, sizes: Sequence[int]) -> list[memoryview]:
        """The buffers that were lent; they are given back when nobody refers to them any more.

        Raises:
            WireError: they would reach past the end.
        """
        loan = self._memory[_FIRST:]
        weakref.finalize(loan, self._give_back).atexit = False
        view = memoryview(loan)  # type: ignore[arg-type]
        buffers, at = [], 0
        for size in sizes:
            at += -at % ALIGNMENT
            if at + size > self.capacity:
                raise WireError(f"a buffer of {size:,} bytes reaches past the end of the arena")
            buffers.append(view[at : at + size])
            at += size
        return buffers

    def _give_back(self) -> None:
        self._mark[0] = 0


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
        os.truncate(fd, _FIRST + ARENA_BYTES)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALED)
    except OSError:
        os.close(fd)
        raise
    return fd
