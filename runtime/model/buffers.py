"""Large arrays of a pickle in a file of their own, which workers map and so share.

The file: u64 count, u64 bytes of each buffer (little-endian), then the buffers, each at a multiple of 64.
Pickle's protocol 5 lets them be written beside the stream (https://peps.python.org/pep-0574/).
"""

from __future__ import annotations

import mmap
import pickle
from pathlib import Path

from ...errors import IntegrityError

SUFFIX = ".buffers"
ALIGNMENT = 64
MIN_BYTES = 64 * 1024
"""Smaller ones stay in the pickle: each costs a page at least."""
_U64 = 8


class Sink:
    """Takes what a pickler gives its `buffer_callback`."""

    def __init__(self) -> None:
        self._buffers: list[memoryview] = []

    def __call__(self, buffer: pickle.PickleBuffer) -> bool:
        """True: keep it in the pickle."""
        raw = buffer.raw()
        if raw.nbytes < MIN_BYTES:
            return True
        self._buffers.append(raw)
        return False

    def write(self, path: Path) -> None:
        """Writes the file; none when there is nothing to write."""
        if not self._buffers:
            return
        sizes = [len(self._buffers), *(buffer.nbytes for buffer in self._buffers)]
        with path.open("wb") as file:
            file.write(b"".join(size.to_bytes(_U64, "little") for size in sizes))
            for buffer in self._buffers:
                file.write(bytes(-file.tell() % ALIGNMENT))
                file.write(buffer)


def mapped(path: Path) -> list[memoryview]:
    """The buffers of a file, in order; empty when there is no such file.

    They may be written to: a page that is becomes this process's own, the file stays as it is.

    Raises:
        IntegrityError: the file is cut.
    """
    if not path.exists():
        return []
    with path.open("rb") as file:
        whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    count = int.from_bytes(whole[:_U64], "little")
    head = whole[_U64 : (1 + count) * _U64]
    found, at = [], (1 + count) * _U64
    for place in range(0, len(head), _U64):
        size = int.from_bytes(head[place : place + _U64], "little")
        at += -at % ALIGNMENT
        found.append(whole[at : at + size])
        at += size
    if at != len(whole):
        raise IntegrityError(f"{path} is damaged: it should have {at} bytes and has {len(whole)}")
    return found
