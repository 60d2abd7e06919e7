from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.runtime.protocols import byte_strings


@given(st.lists(st.binary(max_size=8), max_size=12))
def test_elements_come_back(elements: list[bytes]) -> None:
    packed = byte_strings.pack(byte_strings.as_array(elements, (len(elements),)))
    assert byte_strings.unpack(packed, (len(elements),)).tolist() == elements


@given(st.binary(max_size=40), st.lists(st.integers(0, 4), max_size=3))
def test_random_bytes_are_read_whole_or_refused(data: bytes, shape: list[int]) -> None:
    try:
        array = byte_strings.unpack(data, tuple(shape))
    except ValueError:
        return
    assert byte_strings.pack(array) == data


def test_a_shape_alone_allocates_nothing() -> None:
    with pytest.raises(ValueError, match="hold fewer"):
        byte_strings.unpack(b"\0\0\0\0", (10**9, 10**9))


def test_a_length_beyond_the_end() -> None:
    with pytest.raises(ValueError, match="element 0 should have 4294967295 bytes, 1 are left"):
        byte_strings.unpack(struct.pack("<I", 2**32 - 1) + b"a", (1,))


def test_trailing_zeros_stay() -> None:
    assert byte_strings.as_array([b"a\0"], (1, 1)).tolist() == [[b"a\0"]]
