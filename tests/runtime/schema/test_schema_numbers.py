"""Numbers by simdjson: the same values and the same refusals as the general way, whatever the body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Float16, Float32, Int32, Int64, Num, UInt8, UInt64

from tiffin.errors import RequestError
from tiffin.runtime.schema import inputs as inputs_module
from tiffin.runtime.schema import numbers as numbers_module
from tiffin.runtime.schema import pieces as pieces_module
from tiffin.runtime.schema.inputs import Inputs
from tiffin.runtime.schema.numbers import LARGE_BYTES, NumberBody

SETTINGS = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HELD = settings(SETTINGS, suppress_health_check=[*HealthCheck])


def flat(x: Float32[np.ndarray, "n"]) -> None: ...
def rows(x: Float32[np.ndarray, "n 2"]) -> None: ...
def doubles(x: Float[np.ndarray, "n m"]) -> None: ...
def halves(x: Float16[np.ndarray, "n m"]) -> None: ...
def bytes_(x: UInt8[np.ndarray, "n m"]) -> None: ...
def longs(x: Int64[np.ndarray, "n m"]) -> None: ...
def ints(x: Int32[np.ndarray, "n"]) -> None: ...
def unsigned(x: UInt64[np.ndarray, "n"]) -> None: ...
def cubes(x: Float32[np.ndarray, "n 2 2"]) -> None: ...
def square(x: Float32[np.ndarray, "n n"]) -> None: ...
def pair(x: Float32[np.ndarray, "n 2"], y: Int64[np.ndarray, "n"]) -> None: ...
def options(
    x: Float32[np.ndarray, "n 2"],
    k: int = 3,
    t: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5,
    s: str | None = None,
    b: bool = False,
) -> None: ...


ROUTES = [flat, rows, doubles, halves, bytes_, longs, ints, unsigned, cubes, square, pair, options]


class Both:
    """A route twice: with the fast way for bodies of any size, and without it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.fast = Inputs.of(function, where="test")
        self.general = Inputs.of(function, where="test")
        assert self.fast._numbers is not None
        self.reader: NumberBody = self.fast._numbers
        self.general._numbers = None

    def agree(self, body: bytes) -> bool:
        """Compares the two on a body; says whether the fast way read it itself."""
        expected, got = outcome(self.general.decode_json, body), outcome(self.fast.decode_json, body)
        assert got == expected, body
        return self.reader.read(body) is not None


def outcome(decode: Callable[[bytes], dict[str, Any]], body: bytes) -> Any:
    try:
        values = decode(body)
    except RequestError as error:
        return type(error), error.path, error.message
    return {name: described(value) for name, value in values.items()}


def described(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return type(value), value
    assert value.flags.writeable
    assert value.flags.c_contiguous
    return value.dtype, value.shape, value.tobytes()  # the bytes tell 0.0 from -0.0


@pytest.fixture(autouse=True)
def _any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs_module, "SMALLEST_BYTES", 0)


BOTH = {function.__name__: Both(function) for function in ROUTES}


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("flat", '{"x": [1, 2.5, -3e-2]}'),
        ("rows", '{"x": [[5.1, 3.5], [1.4, 0.2]]}'),
        ("rows", '{"x":[[1,2]]}'),
        ("rows", ' \n{ "x" : [ [ 1 , 2 ] ] } \n'[1:].lstrip()),
        ("doubles", '{"x": [[0.1, 1e308, 5e-324, -0.0, 9007199254740993, 18446744073709551615]]}'),
        ("halves", '{"x": [[65504, 0.1], [-65504, 6e-8]]}'),
        ("rows", '{"x": [[3.4028234663852886e38, -3.4028234663852886e38]]}'),
        ("bytes_", '{"x": [[0, 255]]}'),
        ("longs", '{"x": [[-9223372036854775808, 9223372036854775807]]}'),
        ("ints", '{"x": [-2147483648, 2147483647]}'),
        ("unsigned", '{"x": [0, 18446744073709551615]}'),
        ("cubes", '{"x": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}'),
        ("square", '{"x": [[1, 2], [3, 4]]}'),
        ("pair", '{"y": [1, 2], "x": [[1, 2], [3, 4]]}'),
        ("options", '{"x": [[1, 2]]}'),
        ("options", '{"k": 7, "s": "\\u00e9 \\"", "x": [[1, 2]], "t": 1, "b": true}'),
        ("options", '{"x": [[1, 2]], "s": null}'),
        ("rows", '{"\\u0078": [[1, 2]]}'),
    ],
)
def test_the_usual_form_is_read_by_simdjson(route: str, body: str) -> None:
    assert BOTH[route].agree(body.encode())


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("flat", "[1, 2]"),
        ("flat", "7"),
        ("flat", '"x"'),
        ("flat", "null"),
        ("flat", ""),
        ("flat", "{}"),
        ("flat", '{"x": []}'),
        ("flat", '{"x": [[1], [2]]}'),
        ("flat", '{"x": [1, [2]]}'),
        ("flat", '{"x": [[1, 2], []]}'),
        ("flat", '{"x": 1}'),
        ("flat", '{"x": null}'),
        ("flat", '{"x": "12"}'),
        ("flat", '{"x": {"0": 1}}'),
        ("flat", '{"x": ["1"]}'),
        ("flat", '{"x": [true]}'),
        ("flat", '{"x": [null]}'),
        ("flat", '{"x": [1], "x": [2]}'),
        ("flat", '{"x": [1], "y": 2}'),
        ("flat", '{"x": [1], "[": 2}'),
        ("flat", '{"y": [1]}'),
        ("flat", '{"x": [1]} {}'),
        ("flat", '{"x": [1'),
        ("flat", '{"x": [1,]}'),
        ("flat", '{"x": [01]}'),
        ("flat", '{"x": [NaN]}'),
        ("flat", '{"x": [Infinity]}'),
        ("flat", '{"x": [1e39]}'),
        ("flat", '{"x": [-3.5e38]}'),
        ("flat", '{"x": [3.40282351e38]}'),
        ("flat", '{"x": [1e400]}'),
        ("flat", '{"x": [18446744073709551616]}'),
        ("flat", '\ufeff{"x": [1]}'),
        ("rows", '{"x": [[1, 2], [3]]}'),
        ("rows", '{"x": [[1, 2, 3], [4]]}'),
        ("rows", '{"x": [[1, 2, 3]]}'),
        ("rows", '{"x": [1, 2]}'),
        ("rows", '{"x": [[[1, 2]]]}'),
        ("rows", '{"x": [[[1], [2]]]}'),
        ("rows", '{"x": [[[1, 2], []]]}'),
        ("rows", '{"x": [[1, [2, 3]], [4]]}'),
        ("rows", '{"x": [1, [2, [3, 4]]]}'),
        ("rows", '{"x": [[], []]}'),
        ("rows", '{"x": ["12", "34"]}'),
        ("rows", '{"x": [{"a": 1, "b": 2}]}'),
        ("doubles", '{"x": [[' + "9" * 400 + "]]}"),
        ("bytes_", '{"x": [[256]]}'),
        ("bytes_", '{"x": [[-1]]}'),
        ("bytes_", '{"x": [[1.0]]}'),
        ("bytes_", '{"x": [[1.5]]}'),
        ("bytes_", '{"x": [[1e2]]}'),
        ("bytes_", '{"x": [[true]]}'),
        ("halves", '{"x": [[65520]]}'),
        ("halves", '{"x": [[65505]]}'),
        ("longs", '{"x": [[9223372036854775808]]}'),
        ("longs", '{"x": [[-9223372036854775809]]}'),
        ("ints", '{"x": [2147483648]}'),
        ("unsigned", '{"x": [-1]}'),
        ("unsigned", '{"x": [18446744073709551616]}'),
        ("cubes", '{"x": [[[1, 2], [3, 4]], [[5, 6]]]}'),
        ("cubes", '{"x": [[[1, 2], [3]]]}'),
        ("cubes", '{"x": [["12", "34"]]}'),
        ("cubes", '{"x": [[1, 2], [3, 4]]}'),
        ("square", '{"x": [[1, 2]]}'),
        ("pair", '{"x": [[1, 2]]}'),
        ("pair", '{"x": [[1, 2]], "y": [[1]]}'),
        ("options", '{"x": [[1, 2]], "k": 1.0}'),
        ("options", '{"x": [[1, 2]], "k": "1"}'),
        ("options", '{"x": [[1, 2]], "k": [1]}'),
        ("options", '{"x": [[1, 2]], "t": 1.5}'),
        ("options", '{"x": [[1, 2]], "s": {"a": []}}'),
        ("options", '{"x": [[1, 2]], "b": 1}'),
        ("options", '{"x": [[1, 2]], "s": "["}'),
        ("options", '{"x": [[1, 2]], "s": "\\ud800"}'),
        ("options", '{"x": [[1, 2]], "k": 1, "k": 2}'),
    ],
)
def test_all_else_is_left_to_the_general_way(route: str, body: str) -> None:
    assert not BOTH[route].agree(body.encode())


def test_sizes_that_two_arrays_share_are_compared() -> None:
    assert outcome(BOTH["pair"].fast.decode_json, b'{"x": [[1, 2]], "y": [1, 2]}')[1] == "$.y"
    BOTH["pair"].agree(b'{"x": [[1, 2]], "y": [1, 2]}')


def test_nesting_is_bounded() -> None:
    for depth in (900, 100_000):
        BOTH["flat"].agree(b'{"x": ' + b"[" * depth + b"1" + b"]" * depth + b"}")


def test_invalid_utf8_is_refused() -> None:
    BOTH["options"].agree(b'{"x": [[1, 2]], "s": "\xff"}')
    BOTH["flat"].agree(b'{"x": [1], "\xff": 2}')


@pytest.mark.parametrize("hint", [Bool[np.ndarray, "n"], Num[np.ndarray, "n"], np.ndarray, list[float]])
def test_other_hints_have_no_fast_way(hint: Any) -> None:
    def call(x: Any) -> None: ...

    call.__annotations__["x"] = hint
    assert Inputs.of(call, where="test")._numbers is None


@pytest.fixture
def _tiny_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every body is large, and cut at nearly every row."""
    monkeypatch.setattr(numbers_module, "LARGE_BYTES", 0)
    monkeypatch.setattr(pieces_module, "PIECE_BYTES", 4)


def test_large_bodies_are_cut_between_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = []
    monkeypatch.setattr(pieces_module.time, "sleep", cuts.append)
    for route, shape in (("flat", (60_000,)), ("rows", (30_000, 2)), ("cubes", (15_000, 2, 2))):
        cuts.clear()
        array = np.random.default_rng(0).random(shape)
        body = json.dumps({"x": array.tolist()}).encode()
        assert len(body) > LARGE_BYTES
        assert BOTH[route].agree(body)
        assert len(cuts) >= 2 * len(body) // (pieces_module.PIECE_BYTES + 100)


@pytest.mark.usefixtures("_tiny_pieces")
@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("flat", '{"x": [1, 2 ,3,\n4 , 5.5, 6]}'),
        ("rows", '{ "x" : [ [ 1 , 2 ] , [ 3 , 4 ] ,[5,6]\n]\n} '),
        ("cubes", '{"x": [[[1, 2], [3, 4] ] , [[5, 6], [7, 8]],[[9, 10], [11, 12]]]}'),
        ("options", '{"x": [[1, 2], [3, 4]]}'),
        ("options", '{"x": [[1, 2], [3, 4]], "s": "],"}'),
        ("pair", '{"x": [[1, 2], [3, 4]], "y": [1, 2]}'),
    ],
)
def test_pieces_have_the_values_of_the_whole(route: str, body: str) -> None:
    assert BOTH[route].agree(body.encode())


@pytest.mark.usefixtures("_tiny_pieces")
@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("flat", '{"x": [1, 2, 3, 4, ]}'),
        ("unsigned", '{"x": [1111, 2222, ]}'),
        ("flat", '{"x": [1, 2, 3, , 4]}'),
        ("flat", '{"x": [1, 2, 3], "x": [4, 5, 6]}'),
        ("flat", '{"x": [11111, [2], 3]}'),
        ("rows", '{"x": [[1, 2], [3, 4], ]}'),
        ("rows", '{"x": [[1, 2],, [3, 4]]}'),
        ("rows", '{"x": [[1, 2], [3, 4, 5], [6]]}'),
        ("rows", '{"x": [[1, 2], "]", [3, 4]]}'),
        ("rows", '{"x": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}'),
        ("rows", '{"x": [[1, 2], [3, 4]]]}'),
        ("rows", '{"x": [[1, 2], [3, 4]]}}'),
        ("rows", '{"x": [[1, 2], [3, 4]} '),
        ("cubes", '{"x": [[[1, 2], [3, 4]], [[5, 6]], [[7, 8], [9, 10]]]}'),
        ("cubes", '{"x": [[[1, 2], [3, 4]]], [[[5, 6], [7, 8]]]}'),
    ],
)
def test_pieces_refuse_what_the_whole_refuses(route: str, body: str) -> None:
    assert not BOTH[route].agree(body.encode())


@pytest.mark.usefixtures("_tiny_pieces")
@HELD
@given(data=st.data(), route=st.sampled_from(["flat", "rows", "cubes", "longs", "doubles"]))
def test_pieces_agree_with_the_general_way(data: st.DataObject, route: str) -> None:
    BOTH[route].agree(data.draw(near(route)).encode())


def test_a_parser_in_use_by_another_thread_is_no_failure() -> None:
    route = Both(rows)
    body = b'{"x": [[1, 2]]}'
    held = route.reader._parse(body)
    assert not route.agree(body)
    del held
    assert route.agree(body)


# Bodies near the usual form: mostly good numbers, with mistakes of every kind mixed in.

text_numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**65), 2**65).map(str),
    st.integers(-300, 300).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
odd = st.sampled_from(
    ["true", "null", '"1"', "[]", "[1]", "{}", "NaN", "-", "1.", "1e39", "300", "1.5", '"["', "[[1]]", ""]
)


def rare(usual: st.SearchStrategy[str], other: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 15).flatmap(lambda draw: other if draw == 0 else usual)


@st.composite
def near(draw: st.DrawFn, route: str) -> str:
    small = st.integers(0, 200).map(str)
    element = rare(small if route in ("bytes_", "longs", "ints", "unsigned") else text_numbers, odd)
    axes = {"flat": 1, "ints": 1, "unsigned": 1, "cubes": 3}.get(route, 2)
    space = draw(st.sampled_from(["", " ", "\n", " \t "]))

    def listed(depth: int) -> str:
        length = draw(st.sampled_from([2, 2, 2, 2, 2, 2, 1, 3]))
        items = [draw(element) if depth == 1 else listed(depth - 1) for _ in range(length)]
        return f"[{space}{f'{space},'.join(items)}]"

    fields = [f'"x":{space}{listed(axes)}']
    if route == "pair":
        fields.append(f'"y": [{draw(small)}, {draw(small)}]')
    if route == "options":
        names = st.sampled_from(["k", "t", "s", "b", "z"])
        values = st.one_of(small, text_numbers, odd, st.text(max_size=3).map(json.dumps))
        fields += [f'"{draw(names)}": {draw(values)}' for _ in range(draw(st.integers(0, 3)))]
    fields = draw(st.permutations(fields))
    return "{" + ",".join(fields) + draw(rare(st.just("}"), st.sampled_from(["", "}}", "} ", ',"x":1}'])))


@SETTINGS
@given(data=st.data(), route=st.sampled_from(sorted(BOTH)))
def test_both_ways_agree(data: st.DataObject, route: str) -> None:
    BOTH[route].agree(data.draw(near(route)).encode())


@SETTINGS
@given(number=text_numbers)
@example("2.4703282292062328e-324")
@example("7.006492321624085e-46")
@example("3.4028235677973366e38")
@example("8388608.5")
def test_numbers_are_rounded_alike(number: str) -> None:
    for route in ("doubles", "halves", "rows"):
        BOTH[route].agree(b'{"x": [[1, %s]]}' % number.encode())


@SETTINGS
@given(body=st.binary(max_size=40))
def test_garbage_is_refused_alike(body: bytes) -> None:
    assume(body)
    BOTH["options"].agree(body)


def test_without_simdjson_the_general_way_reads_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers_module, "_is_installed", lambda: False)
    compiled = Inputs.of(rows, where="test")
    assert compiled._numbers is None
    assert compiled.decode_json(b'{"x": [[1, 2]]}')["x"].tolist() == [[1, 2]]
