"""msgpack decoded straight into its types: the same values and refusals as the general way; and no NaN."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import Float32, Float64, Int64, Num, UInt8

from tiffin.errors import InvalidInputError, RequestError
from tiffin.runtime.schema.inputs import Inputs

SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MSGPACK = "application/msgpack"


def rows(x: Float32[np.ndarray, "n 2"]) -> None: ...
def numbers(x: Num[np.ndarray, "..."]) -> None: ...
def pair(x: UInt8[np.ndarray, "n"], y: Int64[np.ndarray, "n"] | None = None) -> None: ...
def options(
    x: Float32[np.ndarray, "n 2"],
    t: Annotated[float, msgspec.Meta(le=1)] = 0.5,
    s: str | None = None,
    f: float | None = None,
) -> None: ...


class Both:
    """A route twice: with and without the straight way."""

    def __init__(self, function: Any) -> None:
        self.straight = Inputs.of(function, where="test")
        self.general = Inputs.of(function, where="test")
        assert self.straight._packed is not None
        self.general._doors.clear()

    def agree(self, body: bytes) -> bool:
        """Compares the two; says whether the straight way read it itself."""
        assert outcome(self.straight, body) == outcome(self.general, body), body
        assert self.straight._packed is not None
        return self.straight._packed.read(body) is not None


def outcome(compiled: Inputs, body: bytes) -> Any:
    try:
        values = compiled.decode(MSGPACK, body)
    except RequestError as error:
        return type(error), error.path, error.message
    return {name: described(value) for name, value in values.items()}


def described(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return type(value), value
    assert value.flags.writeable
    return value.dtype, value.shape, value.tobytes()


BOTH = {function.__name__: Both(function) for function in (rows, numbers, pair, options)}


def packed(array: Any, **changed: Any) -> dict[str, Any]:
    array = np.asarray(array)
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": array.tobytes(), **changed}


ROW = np.array([[1, 2]], "f4")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("rows", {"x": packed(ROW)}),
        ("rows", {"x": packed(ROW.astype("f8"))}),
        ("rows", {"x": packed(ROW.astype("u1"))}),
        ("rows", {"x": packed(ROW.astype(">f4"), dtype=">f4")}),
        ("rows", {"x": packed(ROW, dtype="<f4")}),
        ("rows", {"x": packed(np.array([[np.nan, np.inf]], "f4"))}),
        ("rows", {"x": packed(np.zeros((0, 2), "f4"))}),
        ("rows", {"x": [[1, 2.5]]}),
        ("rows", {"x": []}),
        ("numbers", {"x": packed(np.zeros((2, 3, 4), "i2"))}),
        ("numbers", {"x": packed(np.array(1.5))}),
        ("pair", {"x": packed(np.array([1], "u1"))}),
        ("pair", {"x": [1, 2], "y": packed(np.array([1, 2]))}),
        ("pair", {"x": [1], "y": None}),
        ("options", {"x": packed(ROW), "t": 1, "s": "a"}),
        ("options", {"x": packed(ROW), "s": None}),
    ],
)
def test_what_is_right_is_decoded_straight(route: str, body: Any) -> None:
    assert BOTH[route].agree(msgspec.msgpack.encode(body))


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("rows", {}),
        ("rows", []),
        ("rows", {"x": packed(ROW), "y": 1}),
        ("rows", {"x": packed(ROW, shape=[1, 3])}),
        ("rows", {"x": packed(ROW, shape=[-1, 2])}),
        ("rows", {"x": packed(ROW, shape=[2])}),
        ("rows", {"x": packed(ROW, shape=[True, 2])}),
        ("rows", {"x": packed(ROW, shape=[-1, -2])}),
        ("numbers", {"x": packed(np.array(1.5), shape=[1] * 40)}),
        ("rows", {"x": packed(ROW, shape=None)}),
        ("rows", {"x": packed(ROW, dtype="O")}),
        ("rows", {"x": packed(ROW, dtype=4)}),
        ("rows", {"x": packed(ROW, data="12345678")}),
        ("rows", {"x": packed(ROW, data=b"1234567")}),
        ("rows", {"x": packed(ROW, more=1)}),
        ("rows", {"x": packed(ROW, dtype="complex64", shape=[1, 1])}),
        ("rows", {"x": packed(np.array([[1e39, 0]]))}),
        ("rows", {"x": [[1, 2], [3]]}),
        ("rows", {"x": [[float("nan"), 2]]}),
        ("rows", {"x": [[1, "2"]]}),
        ("rows", {"x": [[1, 1e39]]}),
        ("rows", {"x": None}),
        ("pair", {"x": [256]}),
        ("pair", {"x": [1, 2], "y": packed(np.array([1.5, 2]))}),
        ("numbers", {"x": [1, 2]}),
        ("options", {"x": packed(ROW), "f": float("inf")}),
        ("options", {"x": packed(ROW), "f": float("nan")}),
        ("options", {"x": packed(ROW), "t": 2}),
        ("options", {"x": packed(ROW), "s": 1}),
        ("options", {"x": packed(ROW), "s": msgspec.msgpack.Ext(5, b"a")}),
    ],
)
def test_all_else_is_left_to_the_general_way(route: str, body: Any) -> None:
    assert not BOTH[route].agree(msgspec.msgpack.encode(body))


def test_sizes_that_two_arrays_share_are_compared() -> None:
    body = msgspec.msgpack.encode({"x": [1, 2], "y": [1]})
    assert outcome(BOTH["pair"].straight, body)[1] == "$.y"
    BOTH["pair"].agree(body)


parts = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["float32", "<f8", ">i2", "uint8", "bool", "O", "U1", 1]),
        "shape": st.one_of(st.lists(st.integers(-1, 3), max_size=3), st.just([1, 2]), st.none()),
        "data": st.one_of(st.binary(max_size=16), st.text(max_size=4)),
    }
)
leaves = st.one_of(st.integers(-300, 2**64 - 1), st.floats(), st.booleans(), st.none(), st.text(max_size=2))
lists = st.lists(st.one_of(leaves, st.lists(leaves, max_size=3)), max_size=3)


@SETTINGS
@given(
    route=st.sampled_from(sorted(BOTH)),
    body=st.dictionaries(
        st.sampled_from(["x", "x", "y", "t", "s", "f"]), st.one_of(parts, parts, lists, leaves), max_size=4
    ),
    cut=st.integers(0, 60),
)
def test_both_ways_agree(route: str, body: dict[str, Any], cut: int) -> None:
    raw = msgspec.msgpack.encode(body)
    BOTH[route].agree(raw)
    BOTH[route].agree(raw[:cut])


@dataclasses.dataclass
class Point:
    x: float
    more: list[float] = dataclasses.field(default_factory=list)


class Model(pydantic.BaseModel):
    x: float | None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("hint", "value", "at"),
    [
        (float, None, ""),
        (float | None, None, ""),
        (list[float], [1.0, None], "[1]"),
        (list[list[float]], [[1.0], [None]], "[1][0]"),
        (dict[str, float], {"a": 1.0, "b": None}, ".b"),
        (Point, {"x": None}, ".x"),
        (Point, {"x": 1.0, "more": [None]}, ".more[0]"),
        (Model, {"x": None}, ".x"),
        (Any, {"deep": [{"er": None}]}, ".deep[0].er"),
    ],
)
def test_msgpack_brings_no_nan_that_json_cannot(hint: Any, value: Any, at: str, bad: float) -> None:
    def call(v: Any) -> None: ...

    call.__annotations__["v"] = hint
    compiled = Inputs.of(call, where="test")
    with pytest.raises(InvalidInputError) as caught:
        compiled.decode(MSGPACK, msgspec.msgpack.encode({"v": filled(value, bad)}))
    assert caught.value.path == f"$.v{at}"
    assert caught.value.message == f"expected a finite number, got {bad}"
    compiled.decode(MSGPACK, msgspec.msgpack.encode({"v": filled(value, 1.5)}))


def filled(value: Any, number: float) -> Any:
    """`value` with the number for each None."""
    if isinstance(value, list):
        return [filled(item, number) for item in value]
    if isinstance(value, dict):
        return {name: filled(item, number) for name, item in value.items()}
    return number if value is None else value


def test_binary_arrays_and_cells_of_tables_may_be_nan() -> None:
    def call(x: Float64[np.ndarray, "n"], t: pd.DataFrame) -> None: ...

    compiled = Inputs.of(call, where="test")
    body = {"x": packed(np.array([np.nan])), "t": [{"a": float("nan")}]}
    values = compiled.decode(MSGPACK, msgspec.msgpack.encode(body))
    assert np.isnan(values["x"][0])
    assert values["t"].isna().all().all()
