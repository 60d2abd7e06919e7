"""Streams of frames that are nearly right, for both ends of a worker's socket."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
from hypothesis import strategies as st

from tiffin.runtime.wire import frame

LENGTHS = [0, 1, 19, 20, 21, 65_535, 65_536, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
_HEADS = st.binary(max_size=40) | _JSON.map(msgspec.msgpack.encode)


@st.composite
def frames(draw: st.DrawFn, *, kinds: list[int] | None = None) -> bytes:
    """One frame that is whole, around a head of anything."""
    buffers = draw(st.lists(st.binary(max_size=80), max_size=3))
    kind = draw(st.sampled_from(kinds or sorted(frame.KINDS)))
    flags = draw(st.sampled_from([0, frame.ALONE, frame.SHARED, 255]))
    return b"".join(frame.encode(kind, draw(st.integers(0, 3)), draw(_HEADS), buffers, flags=flags))


@st.composite
def streams(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """Some of the given frames and some of anything; bytes turned, lost or added, lengths that lie."""
    made = draw(st.lists(st.sampled_from(whole) | frames(), min_size=1, max_size=5))
    stream = bytearray(b"".join(made))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(0, len(stream) - 1)))
        how = draw(st.sampled_from(["turn", "cut", "add", "lie", "head"]))
        if how == "turn" and stream:
            stream[place] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del stream[place : place + draw(st.integers(1, 40))]
        elif how == "add":
            stream[place:place] = draw(st.binary(min_size=1, max_size=40))
        elif how == "lie" and len(stream) >= 4:
            stream[:4] = struct.pack("<I", draw(st.sampled_from(LENGTHS)))
        elif how == "head" and len(stream) >= 20:
            stream[16:20] = struct.pack("<I", draw(st.sampled_from(LENGTHS)))
    return bytes(stream)


def encoded(*args: Any, **kwargs: Any) -> bytes:
    """A frame in one piece."""
    return b"".join(frame.encode(*args, **kwargs))
