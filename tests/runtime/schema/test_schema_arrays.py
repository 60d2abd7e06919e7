"""Arrays in JSON: what they become, and what is refused at which path."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from jaxtyping import Bool, Float, Float16, Float32, Int, Int64, Num, Shaped, UInt8, UInt64

from tiffin.errors import InvalidInputError, MalformedInputError, ServiceDefinitionError
from tiffin.runtime.schema.inputs import Inputs


def inputs(hint: Any, *, default: Any = ...) -> Inputs:
    def call(x: Any) -> None: ...

    call.__annotations__["x"] = hint
    if default is not ...:
        call.__defaults__ = (default,)
    return Inputs.of(call, where="test")


def decode(hint: Any, value: Any) -> Any:
    return inputs(hint).decode_json(json.dumps({"x": value}).encode())["x"]


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(InvalidInputError) as caught:
        call()
    return caught.value.path, caught.value.message


@pytest.mark.parametrize(
    ("hint", "value", "dtype", "shape"),
    [
        (Float32[np.ndarray, "n 4"], [[5.1, 3.5, 1.4, 0.2]], "float32", (1, 4)),
        (Float32[np.ndarray, "n 4"], [[1, 2, 3, 4]] * 3, "float32", (3, 4)),
        (Float32[np.ndarray, "n 4"], [], "float32", (0, 4)),
        (Float32[np.ndarray, "n h 3"], [], "float32", (0, 0, 3)),
        (Float32[np.ndarray, "n 3 2"], [[], []][:0], "float32", (0, 3, 2)),
        (Float32[np.ndarray, ""], 2.5, "float32", ()),
        (Float[np.ndarray, "n"], [1, 2], "float64", (2,)),
        (Float16[np.ndarray, "n"], [65504], "float16", (1,)),
        (Int[np.ndarray, "n"], [1, -2], "int64", (2,)),
        (UInt8[np.ndarray, "n"], [0, 255], "uint8", (2,)),
        (UInt64[np.ndarray, "n"], [2**64 - 1], "uint64", (1,)),
        (Int64[np.ndarray, "n"], [-(2**63), 2**63 - 1], "int64", (2,)),
        (Num[np.ndarray, "n"], [1, 2], "int64", (2,)),
        (Num[np.ndarray, "n"], [1, 2.5], "float64", (2,)),
        (Num[np.ndarray, "n"], [2**63], "uint64", (1,)),
        (Bool[np.ndarray, "n"], [True, False], "bool", (2,)),
        (Shaped[np.ndarray, "n"], ["a", "bcd"], "<U3", (2,)),
        (Shaped[np.ndarray, "*many 2"], [[[1, 2]]], "int64", (1, 1, 2)),
        (Float32[np.ndarray, "... 2"], [1, 2], "float32", (2,)),
        (Float32[np.ndarray, "_ a=2"], [[1, 2]], "float32", (1, 2)),
        (Float32[np.ndarray, "n n+1"], [[1, 2], [3, 4]][:1], "float32", (1, 2)),
        (Float32[np.ndarray, "#3 2"], [[1, 2]], "float32", (1, 2)),
        (np.ndarray, [[1, 2.5]], "float64", (1, 2)),
        (np.ndarray, [[True]], "bool", (1, 1)),
        (np.ndarray, 3, "int64", ()),
        (np.ndarray, [], "float64", (0,)),
        (npt.NDArray[np.int16], [[1]], "int16", (1, 1)),
        (list[Float32[np.ndarray, "2"]], [[1, 2]], None, None),
    ],
)
def test_json_becomes_the_array_of_the_hint(hint: Any, value: Any, dtype: str | None, shape: Any) -> None:
    array = decode(hint, value)
    if dtype is None:
        assert isinstance(array, list)
        array, dtype, shape = array[0], "float32", (2,)
    assert isinstance(array, np.ndarray)
    assert (array.dtype, array.shape) == (np.dtype(dtype), shape)
    assert array.flags.writeable
    if array.size:
        assert array.tolist() == np.array(value, dtype).reshape(shape).tolist()


@pytest.mark.parametrize(
    ("hint", "value", "path"),
    [
        (UInt8[np.ndarray, "n"], [1, 300], "$.x[1]"),
        (UInt8[np.ndarray, "n"], [-1], "$.x[0]"),
        (Int[np.ndarray, "n"], [1, 1.5], "$.x[1]"),
        (Int64[np.ndarray, "n"], [0, 2**63], "$.x[1]"),
        (Int64[np.ndarray, "n"], [0, -(10**400)], "$.x[1]"),
        (UInt64[np.ndarray, "a b"], [[0, 2**64]], "$.x[0][1]"),
        (Float32[np.ndarray, "n 1"], [[1], [1e39]], "$.x[1][0]"),
        (Float16[np.ndarray, "n"], [70000], "$.x[0]"),
        (Float32[np.ndarray, "n"], ["1"], "$.x[0]"),
        (Float32[np.ndarray, "n"], [True], "$.x[0]"),
        (Float32[np.ndarray, "n"], [None], "$.x[0]"),
        (Float32[np.ndarray, "n"], [[1]], "$.x[0]"),
        (Float32[np.ndarray, "n 2"], [[1, 2], 3], "$.x[1]"),
        (Float32[np.ndarray, "n 2"], [[1, 2], [3]], "$.x[1]"),
        (Float32[np.ndarray, "n 2"], [[1, 2, 3]], "$.x"),
        (Float32[np.ndarray, "n m k"], [[[1], [2]], [[1], [2, 3]]], "$.x[1][1]"),
        (Float32[np.ndarray, "n n"], [[1, 2]], "$.x"),
        (Float32[np.ndarray, "n n+1"], [[1, 2], [3, 4]], "$.x"),
        (Float32[np.ndarray, "2"], [], "$.x"),
        (Float32[np.ndarray, ""], [1], "$.x"),
        (Float32[np.ndarray, "..."], [[1, "a"]], "$.x[0][1]"),
        (Float32[np.ndarray, "... 2 2"], [1, 2], "$.x"),
        (Bool[np.ndarray, "n"], [1], "$.x[0]"),
        (Num[np.ndarray, "n"], [1, True], "$.x[1]"),
        (np.ndarray, [1, True], "$.x[1]"),
        (np.ndarray, [1.5, "a"], "$.x[1]"),
        (np.ndarray, [[1], [2, 3]], "$.x[1]"),
        (np.ndarray, [{"a": 1}], "$.x[0]"),
        (np.ndarray, [2**70], "$.x[0]"),
        (np.ndarray, {"dtype": "float32", "shape": [1], "data": "AAAAAA=="}, "$.x.data"),
        (npt.NDArray[np.uint8], [[256]], "$.x[0][0]"),
        (dict[str, Float32[np.ndarray, "2"]], {"a": [1, 2], "b": [1, None]}, "$.x.b[1]"),
        (dict[str, list[int]], {"fine": [1], "bad": [1, "x"]}, "$.x.bad[1]"),
        (dict[str, dict[str, int]], {"one": {"two": 1, "three": None}}, "$.x.one.three"),
        (list[Float32[np.ndarray, "2"]], [[1, 2], [1, 2, 3]], "$.x[1]"),
    ],
)
def test_what_would_lose_or_does_not_fit_is_refused_where_it_stands(hint: Any, value: Any, path: str) -> None:
    body = json.dumps({"x": value}).encode()
    assert refusal(lambda: inputs(hint).decode_json(body))[0] == path


def test_messages_say_what_was_expected_and_what_came() -> None:
    flowers = Float32[np.ndarray, "n 4"]
    assert refusal(lambda: decode(flowers, [[1, 2, 3]]))[1] == "expected shape [n, 4], got [1, 3]"
    ragged = refusal(lambda: decode(flowers, [[1, 2, 3, 4], [1, 2]]))
    assert ragged[0] == "$.x[1]"
    assert "expected 4 elements as in [0], got 2" in ragged[1]
    assert "got 300" in refusal(lambda: decode(UInt8[np.ndarray, "n"], [300]))[1]
    assert "got 1e+39" in refusal(lambda: decode(flowers, [[1e39, 1, 1, 1]]))[1]


def test_ragged_against_the_fixed_size_is_told_by_the_first_row() -> None:
    path, message = refusal(lambda: decode(Float32[np.ndarray, "n 2"], [[1], [2, 3]]))
    assert path == "$.x[1]"
    assert "got 2" in message


def test_fields_are_named_with_the_nearest() -> None:
    def call(flowers: Float32[np.ndarray, "n 4"], top: int = 3) -> None: ...

    compiled = Inputs.of(call, where="test", namespace=None)
    assert refusal(lambda: compiled.decode_json(b"{}")) == ("$.flowers", "missing field `flowers`")
    path, message = refusal(lambda: compiled.decode_json(b'{"flower": []}'))
    assert path == "$.flower"
    assert "did you mean `flowers`?" in message
    assert refusal(lambda: compiled.decode_json(b"[]"))[0] == "$"
    assert compiled.decode_json(b'{"flowers": [], "top": 4}')["top"] == 4
    assert compiled.decode_json(b'{"flowers": []}')["top"] == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"x": [NaN]}',
        b'{"x": [Infinity]}',
        b'{"x": ["a"',
        b'{"y": 1',
        b"\xff",
        b'{"x": [1,]}',
        b"{} {}",
    ],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedInputError):
        inputs(Float32[np.ndarray, "n"]).decode_json(body)


def test_deep_nesting_is_malformed_and_no_crash() -> None:
    for hint in (Float32[np.ndarray, "n"], np.ndarray, dict[str, Any], list[list[int]]):
        for body in (b'{"x":' + b"[" * 100_000, b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"):
            with pytest.raises((MalformedInputError, InvalidInputError)):
                inputs(hint).decode_json(body)


def test_names_agree_across_parameters() -> None:
    def call(
        x: Float32[np.ndarray, "n 2"],
        y: Float32[np.ndarray, "n"],
        z: Float32[np.ndarray, "n+1"] | None = None,
    ) -> None: ...

    compiled = Inputs.of(call, where="test")
    assert compiled.decode_json(b'{"x": [[1, 2]], "y": [3]}')["z"] is None
    assert compiled.decode_json(b'{"x": [[1, 2]], "y": [3], "z": [1, 2]}')["z"].shape == (2,)
    path, message = refusal(lambda: compiled.decode_json(b'{"x": [[1, 2]], "y": [3, 4]}'))
    assert path == "$.y"
    assert "n = 1" in message
    path, message = refusal(lambda: compiled.decode_json(b'{"x": [[1, 2]], "y": [3], "z": [1]}'))
    assert path == "$.z"
    assert "n+1 = 2" in message


def test_variadic_and_broadcast_names_agree_too() -> None:
    def call(
        x: Float32[np.ndarray, "*b 2"], y: Float32[np.ndarray, "*b"], z: Float32[np.ndarray, "#n n"]
    ) -> None: ...

    compiled = Inputs.of(call, where="test")
    good = {"x": [[1, 2]], "y": [3], "z": [[1, 2]]}
    assert compiled.decode_json(json.dumps(good).encode())["x"].shape == (1, 2)
    assert refusal(lambda: compiled.decode_json(json.dumps(good | {"y": [1, 2]}).encode()))[0] == "$.y"
    assert (
        refusal(lambda: compiled.decode_json(json.dumps(good | {"z": [[1], [1], [1]]}).encode()))[0] == "$.z"
    )


def test_a_default_is_checked_and_kept() -> None:
    compiled = inputs(Float32[np.ndarray, "2"], default=[1, 2])
    assert compiled.decode_json(b"{}")["x"].tolist() == [1.0, 2.0]
    assert compiled.decode_json(b"")["x"].dtype == np.float32
    assert compiled.defaults == {"x": [1.0, 2.0]}
    with pytest.raises(ServiceDefinitionError, match="default of 'x'"):
        inputs(Float32[np.ndarray, "2"], default=[1])
    assert inputs(Float32[np.ndarray, "2"] | None, default=None).decode_json(b'{"x": null}') == {"x": None}


def test_the_body_may_be_any_buffer() -> None:
    compiled = inputs(Float32[np.ndarray, "n"])
    for kind in (bytes, bytearray, memoryview):
        assert compiled.decode_json(kind(b'{"x": [1]}'))["x"].tolist() == [1.0]


@pytest.mark.parametrize("first", ["a" * 100_000, ["a" * 100_000]])
def test_one_long_text_among_many_is_refused(first: Any) -> None:
    """As an array it would take 4 GB."""
    short: Any = "b" if isinstance(first, str) else ["b"]
    path, message = refusal(lambda: decode(np.ndarray, [first, *[short] * 10_000]))
    assert path == "$.x"
    assert "call of its own" in message
    assert "4,000,400,000 bytes" in message
    assert decode(np.ndarray, [first]).dtype.itemsize == 400_000
    assert decode(np.ndarray, ["b" * 10] * 10_000).shape == (10_000,)


def test_a_long_text_among_numbers_is_refused_as_well() -> None:
    assert refusal(lambda: decode(np.ndarray, [*[1] * 10_000, "a" * 100_000]))[0] == "$.x"
