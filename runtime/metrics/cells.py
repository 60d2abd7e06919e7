"""Numbers that survive the process that counts them.

A process owns two files in `<run folder>/metrics/`; `<stem>` is `<process>@<pid>-<chance>`, never used twice:

    <stem>.cells   float64 cells, mapped; `cells[at] += x` is all that happens per event, and the kernel keeps
                   the page when the process is killed
    <stem>.index   a JSON line a series, appended before its first event:
                   `[family, [label values], place, cells]`; `["", [], place, 0]` takes a series back

The owner holds an exclusive flock on the cells file for life, so anybody can tell a dead process's file
from a living one's. The files grow by whole segments, each mapped by itself, so that cells handed out
earlier stay where they are. Only one thread of a process may count: `+=` is not atomic.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import mmap
import os
import secrets
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

logger = logging.getLogger("tiffin.metrics")

CELLS = ".cells"
INDEX = ".index"
CELL_BYTES = 8
SEGMENT_BYTES = mmap.ALLOCATIONGRANULARITY
SEGMENT_CELLS = SEGMENT_BYTES // CELL_BYTES

Cells: TypeAlias = "memoryview[float]"
"""float64[SEGMENT_CELLS]"""


def folder_of(run_folder: Path) -> Path:
    return run_folder / "metrics"


def stem_prefix(process: str) -> str:
    """What the names of a process's files begin with, whichever of its lives wrote them."""
    return quote(process, safe="") + "@"


class CellFile:
    """The files of one process, to be written by it.

    Args:
        folder: `<run folder>/metrics`, made when missing.
        process: `api-0`; a name may come back after a restart.

    Raises:
        OSError: the files cannot be made, or the disk is full.
    """

    def __init__(self, folder: Path, process: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stem = f"{stem_prefix(process)}{os.getpid()}-{secrets.token_hex(4)}"
        self._process = process
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        self._segments: list[Cells] = []
        self._used = SEGMENT_CELLS  # of the last segment
        self._free: list[tuple[Cells, int, int]] = []
        self._torn = False
        self._warned = False
        index, hidden = folder / (stem + INDEX), folder / f".{stem}{CELLS}"
        self._index = os.open(index, flags | os.O_APPEND, 0o600)
        self._file = os.open(hidden, flags, 0o600)
        # A descriptor of its own, that no map duplicates: closing it lets the lock go.
        self._lock = os.open(hidden, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        _owned.add(self)
        try:
            self._grow()
        except OSError:
            self.close()
            hidden.unlink()
            index.unlink()
            raise
        # Seen by readers only now, when it is locked: an unlocked file is a dead process's.
        hidden.rename(folder / (stem + CELLS))

    def add(self, family: str, values: Sequence[str], count: int) -> tuple[Cells, int, int]:
        """Gives a series its cells, all 0.

        Args:
            family: name of the metric.
            values: label values, in the order of the family's labels.
            count: cells, 1 to SEGMENT_CELLS.

        Returns:
            The segment, the first cell's index in it, and its place in the file; -1 on a full disk:
            then it counts in memory only, so that requests go on.
        """
        try:
            cells, at, place = self._allot(count)
            self._append([family, list(values), place, count])
        except OSError as error:
            if not self._warned:
                logger.warning("metrics of %s are incomplete: %s", self._process, error)
                self._warned = True
            return _in_memory(count), 0, -1
        return cells, at, place

    def drop(self, cells: Cells, at: int, place: int) -> None:
        """Takes a series of one cell back; the cell goes to the next series of one cell."""
        if place < 0:
            return
        try:
            self._append(["", [], place, 0])
        except OSError as error:
            logger.warning("metrics of %s keep a series that is gone: %s", self._process, error)
            return
        cells[at] = 0.0
        self._free.append((cells, at, place))

    def close(self) -> None:
        """Marks the process as dead to readers; what it counted stays."""
        _owned.discard(self)
        for descriptor in (self._lock, self._file, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self._lock = self._file = self._index = -1

    def disown(self) -> None:
        """In a forked child: the file is its parent's, and must not seem alive after the parent has ended."""
        os.close(self._lock)
        self._lock = -1

    def _allot(self, count: int) -> tuple[Cells, int, int]:
        if count == 1 and self._free:
            return self._free.pop()
        if self._used + count > SEGMENT_CELLS:
            self._grow()
        at = self._used
        self._used += count
        return self._segments[-1], at, (len(self._segments) - 1) * SEGMENT_CELLS + at

    def _grow(self) -> None:
        offset = len(self._segments) * SEGMENT_BYTES
        # Written, not only sized: a hole that the disk cannot fill later would end the process with SIGBUS.
        if os.pwrite(self._file, bytes(SEGMENT_BYTES), offset) != SEGMENT_BYTES:
            raise OSError(errno.ENOSPC, "disk full")
        self._segments.append(memoryview(mmap.mmap(self._file, SEGMENT_BYTES, offset=offset)).cast("d"))
        self._used = 0

    def _append(self, entry: list[object]) -> None:
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        if self._torn:
            line = b"\n" + line
        self._torn = os.write(self._index, line) != len(line)
        if self._torn:
            raise OSError(errno.ENOSPC, "disk full")


class MemoryCells(CellFile):
    """Counts in memory only, for nobody to read: a process that finds the disk full serves all the same."""

    def __init__(self) -> None:
        pass

    def add(self, family: str, values: Sequence[str], count: int) -> tuple[Cells, int, int]:  # noqa: ARG002
        return _in_memory(count), 0, -1

    def close(self) -> None:
        pass


def _in_memory(count: int) -> Cells:
    return memoryview(bytearray(count * CELL_BYTES)).cast("d")


_owned: weakref.WeakSet[CellFile] = weakref.WeakSet()


def _disown_all() -> None:
    for file in list(_owned):
        file.disown()
    _owned.clear()


os.register_at_fork(after_in_child=_disown_all)


def is_dead(descriptor: int) -> bool:
    """Whether the owner of an open cells file has ended."""
    # A shared lock: two who ask at the same time must not take each other for the owner.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def read(cells_path: Path) -> tuple[bool, list[tuple[str, tuple[str, ...], list[float]]]]:
    """Reads what a process has counted so far.

    Returns:
        Whether the process is dead, and its series: family, label values, cells.

    Raises:
        FileNotFoundError: the files are gone: folded away by now.
    """
    descriptor = os.open(cells_path, os.O_RDONLY)
    try:
        dead = is_dead(descriptor)  # first: what is read of a dead process is final
        index = cells_path.with_suffix(INDEX).read_bytes()
        size = os.fstat(descriptor).st_size  # at least a segment, and all that the index names
        # A map, not read(): eight aligned bytes are loaded at once, so no cell is seen half written.
        with (
            mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped,
            memoryview(mapped) as view,
            view.cast("d") as cells,
        ):
            return dead, [
                (family, values, [cells[place + number] for number in range(count)])
                for family, values, place, count in _entries(index)
            ]
    finally:
        os.close(descriptor)


def _entries(index: bytes) -> Iterator[tuple[str, tuple[str, ...], int, int]]:
    """The series of an index, without those taken back, half-written lines skipped."""
    series: dict[int, tuple[str, tuple[str, ...], int, int]] = {}
    for line in index.split(b"\n")[:-1]:
        try:
            family, values, place, count = json.loads(line)
        except ValueError:
            continue
        if family:
            series[place] = (family, tuple(values), place, count)
        else:
            series.pop(place, None)
    return iter(series.values())
