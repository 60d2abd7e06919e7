from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tiffin.errors import WireError
from tiffin.runtime.wire import plain
from tiffin.runtime.wire.arena import Gathered
from tiffin.runtime.wire.frame import JOIN_BYTES, RESULT, FrameReader, Part, encode
from tiffin.runtime.wire.values import pack, unpack

DTYPES = ["f4", ">f8", "f2", "i8", "u1", "?", "c8", "S3", "U2", "M8[s]", "m8[ms]"]
LAYOUTS = {
    "as it is": lambda array: array,
    "Fortran": np.asfortranarray,
    "every second": lambda array: np.repeat(array, 2, axis=array.ndim - 1)[..., ::2],
    "backwards": lambda array: array[::-1][::-1],
    "broadcast": lambda array: np.broadcast_to(array[:1], array.shape),
}


def through(description: bytes, buffers: Any) -> Any:
    (received,) = FrameReader().feed(b"".join(encode(RESULT, 1, b"", buffers)))
    return unpack(description, received.buffers)


@st.composite
def calls(draw: st.DrawFn) -> list[tuple[np.ndarray, ...]]:
    """Calls that may go together: arguments of equal dtypes, with equal rows."""
    columns = draw(
        st.lists(
            st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=2)),
            min_size=1,
            max_size=3,
        )
    )
    made = []
    for rows in draw(st.lists(st.integers(0, 3), min_size=1, max_size=6)):
        call = []
        for dtype, shape in columns:
            array = draw(arrays.arrays(np.dtype(dtype), (rows, *shape)))
            call.append(LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](array))
        made.append(tuple(call))
    return made


@given(calls())
def test_rows_of_many_calls_arrive_as_if_joined(calls: list[tuple[np.ndarray, ...]]) -> None:
    rows = sum(len(call[0]) for call in calls)
    expected = tuple(np.concatenate(column) for column in zip(*calls, strict=True))
    parts: list[Part] = [b"another's"]
    description = plain.pack_rows(calls, rows, parts)
    assert description is not None
    got = through(description, parts)
    for one, two in zip(expected, got, strict=True):
        assert one.shape == two.shape
        assert one.tobytes() == two.astype(one.dtype).tobytes()
    assert [array.dtype for array in got] == [array.dtype for array in calls[0]]


@pytest.mark.parametrize(("size", "gathered"), [(JOIN_BYTES // 16, False), (JOIN_BYTES // 4, True)])
def test_large_rows_are_sent_from_where_they_lie(size: int, gathered: bool) -> None:
    calls = [(np.full((1, size), number, np.uint8),) for number in range(8)]
    parts: list[Part] = []
    description = plain.pack_rows(calls, 8, parts)
    assert isinstance(parts[0], Gathered) is gathered
    assert description is not None
    (got,) = through(description, parts)
    assert got[:, 0].tolist() == list(range(8))
    if gathered:
        calls[3][0][:] = 77
        assert bytes(parts[0].pieces[3][:1]) == b"M"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "value", [np.zeros(2), (np.zeros(2),), (np.zeros(2), np.zeros(0, "i4")), np.array(3.5)]
)
def test_an_array_stays_bare_and_a_tuple_a_tuple(value: Any) -> None:
    for _ in range(2):  # the second is remembered
        got = through(*pack(value))
        assert type(got) is type(value)
        assert repr(got) == repr(value)


@pytest.mark.parametrize(
    "value", [(), [np.zeros(2)], np.array([None]), (np.zeros(2), 1), np.zeros(2).view(np.recarray)]
)
def test_all_else_is_not_plain(value: Any) -> None:
    assert plain.pack(value, []) is None
    assert plain.unpack(pack(3)[0], []) is None


def test_what_is_remembered_is_bounded() -> None:
    for size in range(2 * plain.REMEMBERED):
        value = np.zeros((0, size))
        assert through(*pack(value)).shape == value.shape
    assert len(plain._descriptions) <= plain.REMEMBERED
    assert len(plain._plans) <= plain.REMEMBERED
    long = tuple(np.zeros(0) for _ in range(200))
    before = len(plain._plans)
    assert len(through(*pack(long))) == 200
    assert len(plain._plans) == before


def test_a_remembered_description_does_not_excuse_the_wrong_bytes() -> None:
    description, _ = pack(np.zeros(4))
    assert unpack(description, [memoryview(bytes(32))]).shape == (4,)
    for buffers in ([], [memoryview(bytes(31))], [memoryview(bytes(40))]):
        with pytest.raises(WireError, match="malformed"):
            unpack(description, buffers)


def test_a_name_of_a_type_that_only_pythons_parser_refuses_is_no_value() -> None:
    description, buffers = pack(np.zeros((1, 6), np.float32))
    assert b"<f4" in description
    with pytest.raises(WireError):
        unpack(description.replace(b"<f4", b",f4"), [memoryview(buffer) for buffer in buffers])
