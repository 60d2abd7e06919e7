"""Frames: what an API process and a worker send each other over one stream.

    u32 length | u8 kind | u8 flags | u16 buffers | u64 batch id | u32 head length
    head (msgpack) | u64 length of each buffer | zeros up to a multiple of 64 | buffer | zeros | buffer …

All numbers are little-endian. `length` counts the bytes after itself. Every buffer starts at a multiple of 64
bytes from the start of the frame, and the reader puts a frame that has buffers at an address that is a
multiple of 64, so that numpy reads them in place. With the flag SHARED the buffers lie in the connection's
arena instead, in the same order and alignment, and the frame ends after their lengths.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from ...errors import WireError
from .arena import ALIGNMENT, SMALLEST_BYTES, Arena, Gathered, spread

Buffer = bytes | bytearray | memoryview
Part = Buffer | Gathered
"""What `encode` takes as one buffer."""

HELLO = 1
"""Both ways, once: who is there and which version of the protocol it speaks."""
CALL = 2
"""To a worker: run one method on these rows."""
RESULT = 3
"""To an API process: the rows of that batch."""
ERROR = 4
"""To an API process: that batch raised."""
CANCEL = 5
"""To a worker: nobody waits for these requests of that batch any more."""
BEGIN = 6
"""To an API process: a batch that is flagged ALONE starts now."""
BYE = 7
"""To an API process: the worker takes nothing new."""

KINDS = frozenset((HELLO, CALL, RESULT, ERROR, CANCEL, BEGIN, BYE))

ALONE = 1
"""Flag of a CALL: may have ended a worker before, so run it by itself and say BEGIN first."""

SHARED = 2
"""Flag of any frame: its buffers lie in the arena of this direction."""

SECOND = 4
"""Flag beside SHARED: in the second room of it."""

HEADER = struct.Struct("<IBBHQI")
LENGTH = struct.Struct("<I")
MAX_FRAME_BYTES = 2 * 1024**3
MAX_BUFFERS = 0xFFFF
SLAB_BYTES = 64 * 1024
"""Room for frames on arrival, which stay where they arrived: arrays are read there. Larger frames are read
straight into memory of their own."""
ROOM_BYTES = 16 * 1024
"""With less room left, a fresh slab is taken; the old one goes with the last array that lies in it."""
JOIN_BYTES = 32 * 1024
"""Frames up to this size are sent as one piece: a copy costs less than a second system call."""


class Frame(NamedTuple):
    kind: int
    flags: int
    batch: int
    head: memoryview
    buffers: list[memoryview]


def encode(
    kind: int,
    batch: int,
    head: Buffer = b"",
    buffers: Sequence[Part] = (),
    *,
    flags: int = 0,
    arena: Arena | None = None,
) -> list[Buffer]:
    """The pieces of one frame, to be written in order.

    Args:
        buffers: flat bytes, in one piece or gathered; referred to, not copied, when the frame is larger than
            `JOIN_BYTES`.
        arena: where they go instead when they are many bytes and there is room; the frame must then be sent.

    Raises:
        WireError: more than 65,535 buffers or 2 GiB.
    """
    if not buffers:
        return [HEADER.pack(HEADER.size - 4 + len(head), kind, flags, 0, batch, len(head)) + head]
    if len(buffers) > MAX_BUFFERS:
        raise WireError(
            f"{len(buffers)} arrays in one batch, a frame holds {MAX_BUFFERS}: stack them into one array"
        )
    sizes = [len(buffer) for buffer in buffers]
    at = HEADER.size + len(head) + 8 * len(sizes)
    pieces: list[Buffer] = [b"", head, struct.pack(f"<{len(sizes)}Q", *sizes)]
    size = spread(sizes)
    room = arena.lend(buffers, size) if arena is not None and size >= SMALLEST_BYTES else -1
    if room >= 0:
        flags |= SHARED | SECOND if room else SHARED
    else:
        at = _append(pieces, buffers, at)
    if at > MAX_FRAME_BYTES:
        raise WireError(
            f"a batch of {at:,} bytes, a frame holds {MAX_FRAME_BYTES:,}: "
            "lower max_batch_size or send less per call"
        )
    pieces[0] = HEADER.pack(at - 4, kind, flags, len(sizes), batch, len(head))
    return [b"".join(pieces)] if at <= JOIN_BYTES else pieces


def _append(pieces: list[Buffer], buffers: Sequence[Part], at: int) -> int:
    for buffer in buffers:
        pad = -at % ALIGNMENT
        if pad:
            pieces.append(_ZEROS[:pad])
        if isinstance(buffer, Gathered):
            pieces += buffer.pieces
        else:
            pieces.append(buffer)
        at += pad + len(buffer)
    return at


def aligned(size: int) -> memoryview:
    """Writable memory at an address that is a multiple of 64.

    The kernel backs it with pages only as they are written, so a peer that claims a long frame and sends
    nothing costs nothing.

    Raises:
        WireError: the system does not even set the addresses aside.
    """
    import numpy as np

    try:
        block = np.empty(size + ALIGNMENT, np.uint8)
    except MemoryError:
        raise WireError(f"no memory for a frame of {size:,} bytes") from None
    start = -block.__array_interface__["data"][0] % ALIGNMENT
    return memoryview(block)[start : start + size]  # type: ignore[arg-type]


class FrameReader:
    """Cuts a stream of bytes into frames.

    Read into `space()`, say how much came with `filled(n)`, and take the frames it returns. Memory is bounded
    by one slab and one frame of at most `limit` bytes, beside the frames that somebody still holds.

    Args:
        limit: bytes that one frame may have.
        arena: where the buffers of frames with the flag SHARED lie.

    Raises:
        WireError: (from `filled` and `feed`) the stream is malformed; it cannot be read any further.
    """

    __slots__ = ("_end", "_large", "_limit", "_slab", "_start", "_written", "arena")

    def __init__(self, limit: int = MAX_FRAME_BYTES, arena: Arena | None = None) -> None:
        self._limit = limit
        self.arena = arena
        self._slab = aligned(SLAB_BYTES)
        self._start = self._end = 0  # what lies between has arrived and is no whole frame yet
        self._large: memoryview | None = None
        self._written = 0

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return self._large is not None or self._end > self._start

    def space(self) -> memoryview:
        """Where the next bytes of the stream belong; never empty."""
        if self._large is not None:
            return self._large[self._written :]
        return self._slab[self._end :]

    def filled(self, count: int) -> list[Frame]:
        """Frames that are complete now that `count` more bytes are in `space()`."""
        if self._large is not None:
            self._written += count
            if self._written < len(self._large):
                return []
            whole, self._large = self._large, None
            return [_parse(whole, self.arena)]
        self._end += count
        return self._cut()

    def feed(self, data: Buffer) -> list[Frame]:
        """The same for bytes that lie elsewhere."""
        frames: list[Frame] = []
        rest = memoryview(data)
        while rest:
            space = self.space()
            count = min(len(space), len(rest))
            space[:count] = rest[:count]
            frames += self.filled(count)
            rest = rest[count:]
        return frames

    def _cut(self) -> list[Frame]:
        frames: list[Frame] = []
        slab, start, end = self._slab, self._start, self._end
        while end - start >= LENGTH.size:
            total = LENGTH.unpack_from(slab, start)[0] + LENGTH.size
            if not HEADER.size <= total <= self._limit:
                raise WireError(
                    f"a frame of {total:,} bytes, between {HEADER.size} and {self._limit:,} are legal"
                )
            if end - start < total:
                if start + total > SLAB_BYTES and end - start >= HEADER.size:
                    _check_kind(slab[start + LENGTH.size])  # before memory is set aside for noise
                    self._large = aligned(total)
                    self._written = end - start
                    self._large[: self._written] = slab[start:end]
                    start = end
                break
            frames.append(_parse(self._whole(start, total), self.arena))
            start += total
        if start == end:
            start = end = end + -end % ALIGNMENT
        self._start, self._end = start, end
        # A frame whose length is known has its room, here or elsewhere.
        if SLAB_BYTES - start < ROOM_BYTES and end - start < HEADER.size:
            self._turn_over()
        return frames

    def _whole(self, start: int, total: int) -> memoryview:
        whole = self._slab[start : start + total]
        if start % ALIGNMENT and (whole[6] or whole[7]):  # it has buffers, and follows another frame closely
            own = aligned(total)
            own[:] = whole
            return own
        return whole

    def _turn_over(self) -> None:
        rest = self._slab[self._start : self._end]
        self._slab = aligned(SLAB_BYTES)
        self._slab[: len(rest)] = rest
        self._start, self._end = 0, len(rest)


_ZEROS = bytes(ALIGNMENT)


def _check_kind(kind: int) -> None:
    if kind not in KINDS:
        raise WireError(f"a frame of unknown kind {kind}")


def _parse(whole: memoryview, arena: Arena | None) -> Frame:
    _, kind, flags, count, batch, head_size = HEADER.unpack_from(whole)
    _check_kind(kind)
    at = HEADER.size + head_size
    if at + 8 * count > len(whole):
        raise WireError(
            f"a frame of {len(whole)} bytes cannot hold a head of {head_size} and {count} buffers"
        )
    head = whole[HEADER.size : at]
    if not count:
        if at != len(whole):
            raise WireError(f"{len(whole) - at} bytes after the end of a frame")
        return Frame(kind, flags, batch, head, [])
    sizes = struct.unpack_from(f"<{count}Q", whole, at)
    at += 8 * count
    if flags & SHARED:
        if arena is None or at != len(whole):
            raise WireError("a frame whose buffers are nowhere")
        return Frame(kind, flags, batch, head, arena.borrow(sizes, 1 if flags & SECOND else 0))
    buffers = []
    for size in sizes:
        at += -at % ALIGNMENT
        if at + size > len(whole):
            raise WireError(f"a buffer of {size:,} bytes reaches past the end of its frame")
        buffers.append(whole[at : at + size])
        at += size
    if at != len(whole):
        raise WireError(f"{len(whole) - at} bytes after the end of a frame")
    return Frame(kind, flags, batch, head, buffers)
