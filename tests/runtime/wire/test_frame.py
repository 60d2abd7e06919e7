from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import WireError
from tiffin.runtime.wire import frame
from tiffin.runtime.wire.frame import FrameReader, encode
from tiffin.runtime.wire.messages import Call, Cancel, Failure, Hello, Result, dump, load

BUFFERS = st.lists(st.binary(max_size=300) | st.just(b"x" * 100_000), max_size=5)


def joined(*args: object, **kwargs: object) -> bytes:
    return b"".join(encode(*args, **kwargs))  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(frame.KINDS)), st.integers(0, 2**64 - 1), st.binary(), BUFFERS),
        max_size=5,
    ),
    st.sampled_from([0, frame.ALONE, 128]),
    st.data(),
)
def test_frames_survive_any_cut_of_the_stream(
    frames: list[tuple[int, int, bytes, list[bytes]]], flags: int, data: st.DataObject
) -> None:
    stream = b"".join(
        joined(kind, batch, head, buffers, flags=flags) for kind, batch, head, buffers in frames
    )
    reader, got, at = FrameReader(), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, max(1, len(stream) // 3)))
        got += reader.feed(stream[at : at + step])
        at += step
    assert not reader.partial
    assert [(f.kind, f.flags, f.batch, bytes(f.head), [bytes(b) for b in f.buffers]) for f in got] == [
        (kind, flags, batch, head, buffers) for kind, batch, head, buffers in frames
    ]


@pytest.mark.parametrize("size", [1, 1000, 70_000, 5_000_000])
def test_buffers_lie_at_multiples_of_64_and_are_writable(size: int) -> None:
    (received,) = FrameReader().feed(joined(frame.CALL, 1, b"head", [b"a" * size, b"b" * size]))
    for buffer in received.buffers:
        array = np.frombuffer(buffer, np.uint8)
        assert array.ctypes.data % 64 == 0
        assert array.flags.writeable
    assert [bytes(buffer[:1]) for buffer in received.buffers] == [b"a", b"b"]


@pytest.mark.parametrize("size", [1, 1000, 20_000])
def test_frames_that_come_together_are_aligned_too_and_never_written_over(size: int) -> None:
    reader, got = FrameReader(), []
    sent = [joined(frame.CALL, n, b"h" * (n % 7), [bytes([n]) * size]) for n in range(200)]
    for first in range(0, len(sent), 3):
        got += reader.feed(b"".join(sent[first : first + 3]))
    for n, received in enumerate(got):
        assert np.frombuffer(received.buffers[0], np.uint8).ctypes.data % 64 == 0
        assert bytes(received.buffers[0]) == bytes([n]) * size


def test_a_byte_at_a_time_costs_no_slab_each() -> None:
    reader = FrameReader()
    stream = joined(frame.CALL, 1, b"", [bytes(60_000)]) + joined(frame.CALL, 2, b"", [bytes(30_000)])
    frames, slabs = [], set()
    for at in range(len(stream)):
        frames += reader.feed(stream[at : at + 1])
        slabs.add(id(reader._slab))
    assert [received.batch for received in frames] == [1, 2]
    assert len(slabs) <= 4


@given(st.binary(max_size=400))
def test_noise_is_an_error_or_not_yet_a_frame(noise: bytes) -> None:
    reader = FrameReader(limit=1 << 20)
    try:
        frames = reader.feed(noise)
    except WireError:
        return
    assert len(noise) < 20 or frames or reader.partial


@given(st.binary(max_size=64), st.lists(st.binary(max_size=64), max_size=3), st.data())
def test_a_flipped_byte_never_crashes_the_reader(
    head: bytes, buffers: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(joined(frame.CALL, 1, head, buffers))
    place = data.draw(st.integers(0, len(stream) - 1))
    stream[place] ^= data.draw(st.integers(1, 255))
    try:
        for received in FrameReader(limit=1 << 20).feed(stream):
            load(Call, received.head)
    except WireError:
        pass


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda raw: raw[:4] + b"\x63" + raw[5:], "unknown kind"),
        (lambda raw: struct.pack("<I", 3) + raw[4:], "a frame of 7 bytes"),
        (lambda raw: struct.pack("<I", 1 << 30) + raw[4:], "legal"),
        (lambda raw: raw[:16] + struct.pack("<I", 10_000) + raw[20:], "cannot hold a head"),
        (lambda raw: raw[:6] + b"\xff\xff" + raw[8:], "cannot hold"),
        (lambda raw: raw[:24] + struct.pack("<Q", 1 << 60) + raw[32:], "past the end"),
        (lambda raw: raw[:24] + struct.pack("<Q", 1) + raw[32:], "after the end"),
        (lambda raw: raw[:6] + b"\x00\x00" + raw[8:], "after the end"),
    ],
)
def test_a_lie_in_the_header_is_told(change: object, told: str) -> None:
    raw = joined(frame.CALL, 1, b"head", [b"buffer"])
    with pytest.raises(WireError, match=told):
        FrameReader(limit=1 << 20).feed(change(raw))  # type: ignore[operator]


def test_a_claimed_length_alone_takes_no_memory() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    readers = []
    for _ in range(20):
        reader = FrameReader()
        reader.feed(struct.pack("<IBBHQI", frame.MAX_FRAME_BYTES - 4, frame.CALL, 0, 1, 1, 4) + b"head")
        readers.append(reader)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (after - before) * 1024 < 100 * 1024 * 1024


def test_the_sender_refuses_what_the_reader_would() -> None:
    huge = np.empty(frame.MAX_FRAME_BYTES, np.uint8)  # never written: the kernel gives no pages for it
    with pytest.raises(WireError, match="lower max_batch_size"):
        encode(frame.CALL, 1, b"", [memoryview(huge)])
    with pytest.raises(WireError, match="stack them"):
        encode(frame.CALL, 1, b"", [b""] * 70_000)


@pytest.mark.parametrize(
    "head",
    [
        Hello(1, "api 3"),
        Call("predict", [1, 2], [0.5, float("inf")], b"args", b""),
        Result(b"value", 0.25, [1]),
        Failure("ValueError", "bad", "Traceback", 422, "Bad", "$.x", 1.5, 0.1, [2]),
        Cancel([0, 3]),
    ],
)
def test_heads_come_back(head: object) -> None:
    assert load(type(head), dump(head)) == head  # type: ignore[type-var, arg-type]


@given(st.binary(max_size=100))
def test_a_head_of_noise_is_an_error_of_the_wire(noise: bytes) -> None:
    for kind in (Hello, Call, Result, Failure, Cancel):
        with contextlib.suppress(WireError):
            load(kind, noise)
