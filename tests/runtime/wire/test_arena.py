from __future__ import annotations

import gc
import os

import numpy as np
import pytest

from tiffin.errors import WireError
from tiffin.runtime.wire import frame, plain
from tiffin.runtime.wire.arena import ARENA_BYTES, Arena, Gathered, memory_file
from tiffin.runtime.wire.values import pack, unpack


@pytest.fixture
def ends() -> tuple[Arena, Arena]:
    """(sender's, receiver's)"""
    fd = memory_file()
    try:
        return Arena(fd), Arena(fd)
    finally:
        os.close(fd)


def send(arena: Arena, *arrays: np.ndarray) -> bytes:
    description, buffers = pack(list(arrays))
    return b"".join(frame.encode(frame.RESULT, 1, description, buffers, arena=arena))


def receive(arena: Arena, stream: bytes) -> list[np.ndarray]:
    (received,) = frame.FrameReader(arena=arena).feed(stream)
    value: list[np.ndarray] = unpack(received.head, received.buffers)
    return value


def test_large_buffers_leave_the_frame_and_are_read_in_place(ends: tuple[Arena, Arena]) -> None:
    arrays = np.arange(100_000.0), np.ones(3, np.uint8), np.arange(50_000)
    stream = send(ends[0], *arrays)
    assert len(stream) < 200
    got = receive(ends[1], stream)
    for one, two in zip(arrays, got, strict=True):
        assert np.array_equal(one, two)
        assert two.ctypes.data % 64 == 0
        assert two.flags.writeable


def test_rows_in_many_pieces_lie_there_in_one(ends: tuple[Arena, Arena]) -> None:
    calls = [(np.full((1, 5000), float(n)), np.full((1, 10), n)) for n in range(9)]
    parts: list[frame.Part] = []
    description = plain.pack_rows(calls, 9, parts)
    assert description is not None
    assert isinstance(parts[0], Gathered)
    stream = b"".join(frame.encode(frame.CALL, 1, description, parts, arena=ends[0]))
    assert len(stream) < 200
    large, small = receive(ends[1], stream)
    assert large[:, -1].tolist() == small[:, 0].tolist() == list(range(9))


def test_it_is_lent_again_only_when_the_last_view_is_gone(ends: tuple[Arena, Arena]) -> None:
    big, other = np.ones(100_000), np.zeros(100_000)
    got = receive(ends[1], send(ends[0], big))
    view = got[0][5:10]
    ahead = receive(ends[1], send(ends[0], other))  # in the second room
    for name in ("list", "array"):
        assert len(send(ends[0], big)) > big.nbytes, f"written over while a view is alive, without the {name}"
        got.clear()
    assert view.tolist() == [1.0] * 5
    assert not ahead[0].any()
    del view
    gc.collect()
    again = send(ends[0], big * 2)
    assert len(again) < 200
    assert len(send(ends[0], big)) > big.nbytes, "the second room is still lent"
    assert receive(ends[1], again)[0].tolist() == [2.0] * 100_000
    assert not ahead[0].any(), "written over by the other room"
    ahead.clear()
    gc.collect()
    assert [len(send(ends[0], big)) < 200 for _ in range(3)] == [True, True, False]


def test_what_does_not_fit_or_is_small_goes_through_the_socket(ends: tuple[Arena, Arena]) -> None:
    assert len(send(ends[0], np.ones(1000, np.uint8))) > 1000
    assert len(send(ends[0], np.ones(ARENA_BYTES + 1, np.uint8))) > ARENA_BYTES
    full = np.arange(ARENA_BYTES, dtype=np.uint8)
    streams = [send(ends[0], full), send(ends[0], full + 1)]
    assert max(map(len, streams)) < 200
    for more, stream in enumerate(streams):
        assert np.array_equal(receive(ends[1], stream)[0], full + more)


def test_a_frame_that_lies_about_the_arena_is_refused(ends: tuple[Arena, Arena]) -> None:
    stream = send(ends[0], np.ones(100_000))
    with pytest.raises(WireError, match="nowhere"):
        frame.FrameReader().feed(stream)
    second = send(ends[0], np.ones(100_000))
    for honest in (stream, second):
        big = honest[:-8] + (ARENA_BYTES + 1).to_bytes(8, "little")
        with pytest.raises(WireError, match="past the end of its room"):
            frame.FrameReader(arena=ends[1]).feed(big)


def test_a_file_that_could_be_cut_short_is_no_arena() -> None:
    fd = os.memfd_create("open", os.MFD_ALLOW_SEALING)
    try:
        os.truncate(fd, 1 << 20)
        with pytest.raises(WireError, match="no arena"):
            Arena(fd)
    finally:
        os.close(fd)
    fd = memory_file()
    try:
        with pytest.raises(PermissionError):
            os.truncate(fd, 10)
    finally:
        os.close(fd)
