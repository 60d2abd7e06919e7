from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import uuid
from collections import OrderedDict, namedtuple
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tiffin.errors import WireError
from tiffin.runtime.wire import frame, plain, values
from tiffin.runtime.wire.values import pack, unpack

pd = pytest.importorskip("pandas")
torch = pytest.importorskip("torch")


def travel(value: Any) -> Any:
    """Through a whole frame, as between two processes."""
    description, buffers = pack(value)
    (received,) = frame.FrameReader().feed(b"".join(frame.encode(frame.RESULT, 1, description, buffers)))
    return unpack(received.head, received.buffers)


def same(one: Any, two: Any) -> bool:
    """Equal in type and content, through containers; nan is nan."""
    if type(one) is not type(two):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and _equal_arrays(one, two)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    return bool(one == two) or (isinstance(one, float) and math.isnan(one) and math.isnan(two))


def _equal_arrays(one: np.ndarray, two: np.ndarray) -> bool:
    if one.dtype.kind not in "OT":
        return one.tobytes() == two.tobytes()
    return all(map(same, one.ravel().tolist(), two.ravel().tolist()))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.dates()
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
)
KEYS = st.text() | st.integers(-(2**63), 2**63)
JSON_LIKE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.lists(inner).map(tuple),
    max_leaves=12,
)
DTYPES = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?")
    | hnp.complex_number_dtypes()
    | hnp.unicode_string_dtypes(max_len=5)
    | hnp.byte_string_dtypes(max_len=5)
    | hnp.datetime64_dtypes()
    | hnp.timedelta64_dtypes()
)
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))


@given(JSON_LIKE)
def test_plain_values_come_back(value: Any) -> None:
    assert same(travel(value), value)


@settings(deadline=None)
@given(ARRAYS)
def test_arrays_come_back(array: Any) -> None:
    array = np.asarray(array)
    assert same(travel(array), array)


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), ARRAYS | SCALARS, max_size=3), max_size=3))
def test_arrays_inside_containers_come_back(value: Any) -> None:
    assert same(
        travel(value),
        [{k: np.asarray(v) if isinstance(v, np.ndarray) else v for k, v in d.items()} for d in value],
    )


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12).reshape(3, 4).T,
        np.asfortranarray(np.ones((3, 4))),
        np.arange(20)[::-2],
        np.broadcast_to(np.float32(3), (2, 5)),
        np.array(["", ""]),
        np.array([1, "a", None, (1, 2), [np.float32(3)]], dtype=object),
        np.array([["a", "bc"]], dtype="T"),
        np.empty((0, 3), object),
        np.ones((100, 100), np.float16),
    ],
    ids=repr,
)
def test_unusual_arrays_come_back(array: np.ndarray) -> None:
    assert same(travel(array), np.ascontiguousarray(array) if array.ndim else array)


@pytest.mark.parametrize(
    "value", [np.float32(1.5), np.int64(3), np.bool_(1), np.datetime64("2020-01-01"), np.str_("é")]
)
def test_numpy_scalars_come_back(value: Any) -> None:
    back = travel([value])[0]
    assert type(back) is type(value)
    assert back == value


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6).reshape(2, 3).T,
        torch.ones(2, dtype=torch.bfloat16),
        torch.ones(2, dtype=torch.float16, requires_grad=True),
        torch.zeros(0, 3),
        torch.tensor(5),
        torch.tensor([True, False]),
        torch.tensor([1 + 2j]).conj(),
    ],
    ids=repr,
)
def test_tensors_come_back(tensor: Any) -> None:
    back = travel(tensor)
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor.detach().resolve_conj())


def frames() -> list[Any]:
    table = pd.DataFrame(
        {
            "number": [1, 2],
            "real": [1.5, np.nan],
            "text": ["x", None],
            "kind": pd.Categorical(["u", "v"], categories=["v", "u"], ordered=True),
            "zoned": pd.to_datetime(["2020-01-01", "2021-06-01"]).tz_localize("Europe/Berlin"),
            "day": pd.to_datetime(["2020-01-01", None]),
            "maybe": pd.array([1, None], dtype="Int64"),
            "flag": pd.array([True, None], dtype="boolean"),
            "objects": pd.Series([[1], None], dtype=object),
        }
    )
    twins = pd.DataFrame([[1, 2]], columns=["a", "a"])
    return [
        table,
        table.set_index("number"),
        table.set_index(["number", "text"]),
        twins,
        pd.DataFrame(),
        table.iloc[:0],
    ]


@pytest.mark.parametrize("place", range(6))
def test_data_frames_come_back(place: int) -> None:
    table = frames()[place]
    pd.testing.assert_frame_equal(travel(table), table)


def test_series_come_back() -> None:
    series = pd.Series([1.5, 2], index=["a", "b"], name="s")
    pd.testing.assert_series_equal(travel(series), series)
    assert travel(pd.Timestamp("2020-01-01 12:00")) == datetime.datetime(2020, 1, 1, 12)  # noqa: DTZ001


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1", "F", "I;16", "P"])
def test_images_come_back(mode: str) -> None:
    from PIL import Image

    image = Image.new(mode, (7, 3))
    if mode == "P":
        image.putpalette([1, 2, 3] * 256)
    back = travel(image)
    assert (back.mode, back.size, back.tobytes(), back.getpalette()) == (
        mode,
        (7, 3),
        image.tobytes(),
        image.getpalette(),
    )


def test_files_come_back() -> None:
    from tiffin.runtime.schema.file import File

    back = travel({"file": File(name="a.txt", media_type="text/plain", data=b"abc")})["file"]
    assert (back.name, back.media_type, back.data) == ("a.txt", "text/plain", b"abc")


def test_classes_travel_as_maps_of_their_fields() -> None:
    import pydantic

    class Colour(enum.Enum):
        RED = "red"

    @dataclasses.dataclass
    class Point:
        x: int
        colour: Colour

    class Leaf(msgspec.Struct):
        size: np.ndarray

    class Tree(pydantic.BaseModel):
        name: str

    Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - the untyped kind
    assert travel(Point(1, Colour.RED)) == {"x": 1, "colour": "red"}
    assert travel([Leaf(np.arange(2))])[0]["size"].tolist() == [0, 1]
    assert travel(Tree(name="oak")) == {"name": "oak"}
    assert travel(Pair(1, 2)) == (1, 2)
    assert travel(OrderedDict(a=1)) == {"a": 1}
    assert travel({1, 2}) == {1, 2}
    assert travel((bytearray(b"x"), memoryview(b"y"))) == (b"x", b"y")
    assert travel([uuid.UUID(int=1), decimal.Decimal("1.50")]) == [uuid.UUID(int=1), decimal.Decimal("1.50")]


def test_decoding_copies_nothing() -> None:
    array = np.arange(100_000)
    description, buffers = pack(array)
    assert np.shares_memory(np.frombuffer(buffers[0], array.dtype), array)
    own = memoryview(bytearray(buffers[0]))
    back = unpack(description, [own])
    assert np.shares_memory(back, np.frombuffer(own, np.uint8))
    assert back.flags.writeable


def recursive() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "use arrays"),
        (lambda: None, "cannot be sent"),
        (np.zeros(2, [("a", int)]), "dict of arrays"),
        ({(1, 2): 3}, "str or int keys"),
        (recursive(), "contains itself"),
        (torch.eye(2).to_sparse(), "to_dense"),
        ("\ud800", "cannot be sent"),
    ],
    ids=["object", "function", "fields", "keys", "recursive", "sparse", "surrogate"],
)
def test_what_cannot_travel_is_told(value: Any, told: str) -> None:
    with pytest.raises(WireError, match=told):
        pack(value)


@given(st.binary(max_size=200), st.lists(st.binary(max_size=64), max_size=2))
def test_noise_is_an_error_of_the_wire_or_a_value(noise: bytes, buffers: list[bytes]) -> None:
    try:
        unpack(noise, [memoryview(buffer) for buffer in buffers])
    except WireError:
        return


@settings(deadline=None)
@given(
    st.integers(0, 30),
    st.recursive(st.integers() | st.text() | st.none(), st.lists, max_leaves=8),
)
def test_any_extension_with_any_content_is_an_error_of_the_wire_or_a_value(code: int, content: Any) -> None:
    try:
        raw = msgspec.msgpack.encode(values.nest(code, content))
    except (OverflowError, msgspec.MsgspecError):
        return
    try:
        unpack(raw, [memoryview(bytearray(64))])
    except WireError:
        return


@pytest.mark.parametrize(
    "content",
    [
        [0, "<f8", [9]],
        [0, "|O", [8]],
        [0, "<f8", [-1, -8]],
        [5, "<f8", [8]],
        [0, "<f8", [2**40, 2**40]],
        [0, "x", [8]],
    ],
)
def test_an_array_that_lies_is_refused(content: Any) -> None:
    with pytest.raises(WireError):
        unpack(msgspec.msgpack.encode(values.nest(plain.ARRAY, content)), [memoryview(bytearray(64))])


def test_nesting_without_end_is_refused() -> None:
    raw = b"\x91" * 100_000 + b"\x00"
    with pytest.raises(WireError):
        unpack(raw, [])
