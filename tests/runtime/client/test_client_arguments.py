"""What arguments become on their way: binary where that loses nothing, and never copied when large."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from tiffin.errors import InvalidInputError, MalformedInputError
from tiffin.runtime.client.arguments import LARGE_BYTES, packed
from tiffin.runtime.client.results import result
from tiffin.runtime.schema import npy
from tiffin.runtime.schema.encode import msgpack_bytes

ARRAY = {"kind": "array"}


def sent(**values: Any) -> Any:
    kinds = {
        name: ARRAY if not isinstance(value, float) else {"kind": "number"} for name, value in values.items()
    }
    pieces = packed(values, kinds, msgpack_bytes)
    return msgspec.msgpack.decode(b"".join(pieces))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "uint64", "bool", ">f4", ">i8"])
def test_large_arrays_are_the_same_in_pieces(dtype: str) -> None:
    large = (np.arange(LARGE_BYTES) % 100).astype(dtype)
    small = large[:5]
    found = sent(a=large, b=small, c=2.5, d=large.reshape(2, -1)[:, ::2], e="text")
    whole = {"a": large, "b": small, "c": 2.5, "d": large.reshape(2, -1)[:, ::2], "e": "text"}
    assert found == msgspec.msgpack.decode(msgpack_bytes(whole))


def test_a_large_array_is_not_copied() -> None:
    large = np.ones(LARGE_BYTES, np.uint8)
    pieces = packed({"x": large}, {"x": ARRAY}, msgpack_bytes)
    assert np.shares_memory(np.frombuffer(pieces[-1], np.uint8), large)


@pytest.mark.parametrize(
    ("given", "wanted", "dtype"),
    [
        ([1, 2], "float32", "float32"),
        ([1.5], "float32", "float32"),
        ([1, 2], "uint8", "uint8"),
        ([1, 300], "uint8", "int64"),  # the server says what is wrong
        ([1.5], "int32", "float64"),
        ([1e300], "float32", "float64"),
        ([True], "float32", "bool"),
        ([1, 2], "", "int64"),
        (3, "float32", "float32"),
    ],
)
def test_lists_become_arrays_where_nothing_is_lost(given: Any, wanted: str, dtype: str) -> None:
    pieces = packed({"x": given}, {"x": {"kind": "array", "dtype": wanted}}, msgpack_bytes)
    assert msgspec.msgpack.decode(b"".join(pieces))["x"]["dtype"] == dtype


@pytest.mark.parametrize("given", [[[1], [1, 2]], ["a"], [], [None, 1], [2**70]])
def test_other_lists_are_left_to_the_server(given: Any) -> None:
    try:
        assert sent(x=given)["x"] == given
    except InvalidInputError as error:
        assert error.path == "$.x"
        assert 2**70 in given


def test_iterators_are_lists() -> None:
    pieces = packed({"x": iter(range(3))}, {"x": {"kind": "json"}}, msgpack_bytes)
    assert msgspec.msgpack.decode(b"".join(pieces)) == {"x": [0, 1, 2]}


def test_npy_is_looked_at_where_it_lies() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    body = bytearray(npy.write(array))
    found = result("application/x-npy", body, ARRAY)
    assert np.array_equal(found, array)
    assert np.shares_memory(found, np.frombuffer(body, np.uint8))
    found += 1
    for other in (
        array.astype(">f4"),
        np.asfortranarray(array),
        array > 3,
        np.empty((0, 4)),
        np.array(["a"]),
    ):
        assert np.array_equal(npy.view(bytearray(npy.write(other))), other)
    for end in (5, 20, -1):
        with pytest.raises(MalformedInputError):
            npy.view(bytearray(npy.write(array))[:end])
