"""Compressed request bodies: undone, bounded, and refused when damaged."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import MalformedInputError, PayloadTooLargeError, UnsupportedMediaTypeError
from tiffin.runtime.http.inflate import check_coding, inflate


def _raw(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


@given(st.binary(max_size=5000))
def test_round_trip(data: bytes) -> None:
    assert inflate("gzip", gzip.compress(data), 5000) == data
    assert inflate("x-gzip", gzip.compress(data[:9]) + gzip.compress(data[9:]), 5000) == data
    assert inflate("deflate", zlib.compress(data), 5000) == data
    assert inflate("identity", data, 5000) == data


def test_raw_deflate() -> None:
    assert inflate("deflate", _raw(b"hello " * 100), 1000) == b"hello " * 100


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_garbage_raises_nothing_else(data: bytes, coding: str) -> None:
    with suppress(MalformedInputError, PayloadTooLargeError):
        assert len(inflate(coding, data, 1000)) <= 1000


def test_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 60_000
    with pytest.raises(PayloadTooLargeError, match="1000 bytes after inflating"):
        inflate("gzip", bomb, 1000)
    with pytest.raises(PayloadTooLargeError):
        inflate("gzip", gzip.compress(b"a" * 600) * 2, 1000)
    assert len(inflate("gzip", gzip.compress(b"a" * 500) * 2, 1000)) == 1000


def test_cut_short() -> None:
    whole = gzip.compress(bytes(range(256)) * 20)
    for end in range(0, len(whole), 7):
        with pytest.raises(MalformedInputError):
            inflate("gzip", whole[:end], 10_000)


def test_other_codings() -> None:
    for coding in ("br", "zstd", "gzip, gzip", ""):
        with pytest.raises(UnsupportedMediaTypeError, match="gzip or deflate"):
            check_coding(coding)
