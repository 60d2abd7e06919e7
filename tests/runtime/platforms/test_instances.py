"""Instances for apis of every kind."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32

import tiffin
from tiffin.errors import InvalidInputError
from tiffin.runtime.protocols.instances import Instances
from tiffin.runtime.service.service import service_info


@tiffin.service
class Kinds:
    @tiffin.api
    def rows(self, x: Float32[np.ndarray, "n 2"], scale: float = 1.0) -> list[float]: ...

    @tiffin.api
    def any_shape(self, x: np.ndarray) -> list[float]: ...

    @tiffin.api
    def one_row(self, x: Float32[np.ndarray, "2"]) -> float: ...

    @tiffin.api
    def pair(self, a: Float32[np.ndarray, "n"], b: list[str]) -> dict[str, list[float]]: ...

    @tiffin.api
    def mixed(self, a: Float32[np.ndarray, "n"], name: str) -> float: ...

    @tiffin.api
    def data(self, data: bytes) -> int: ...

    @tiffin.api
    def defaults(self, a: int = 1, b: int = 2) -> int: ...

    @tiffin.api
    def nothing(self) -> int: ...

    @tiffin.api
    def own(self, instances: list[int]) -> list[int]: ...


def of(api: str) -> Instances:
    return Instances(api, service_info(Kinds).apis[api].inputs)


def bodies(api: str, instances: Any, **more: Any) -> list[Any]:
    read = of(api).read(json.dumps({"instances": instances, **more}).encode())
    assert read is not None
    return [json.loads(body) for body in read]


def test_all_rows_in_one_call() -> None:
    assert bodies("rows", [[1, 2], [3, 4]]) == [{"x": [[1, 2], [3, 4]]}]
    assert bodies("rows", [{"x": [1, 2]}, {"x": [3, 4]}]) == [{"x": [[1, 2], [3, 4]]}]
    assert bodies("rows", [[1, 2]], parameters={"scale": 3}) == [{"x": [[1, 2]], "scale": 3}]
    assert bodies("any_shape", [1, 2]) == [{"x": [1, 2]}]


def test_several_columns() -> None:
    assert bodies("pair", [{"a": 1, "b": "x"}, {"b": "y", "a": 2}]) == [{"a": [1, 2], "b": ["x", "y"]}]
    for instances in ([1], [], [{"a": 1, "b": "x"}, 5]):
        with pytest.raises(InvalidInputError, match="a, b"):
            bodies("pair", instances)
    with pytest.raises(InvalidInputError, match="'b' is missing"):
        bodies("pair", [{"a": 1}])


def test_a_call_each() -> None:
    assert bodies("one_row", [[1, 2], {"x": [3, 4]}]) == [{"x": [1, 2]}, {"x": [3, 4]}]
    assert bodies("mixed", [{"a": [1], "name": "x"}]) == [{"a": [1], "name": "x"}]
    assert bodies("defaults", [{"a": 5}, {}], parameters={"b": 3})[0] == {"a": 5, "b": 3}
    with pytest.raises(InvalidInputError, match="takes nothing"):
        bodies("nothing", [1])


def test_base64_in_an_object() -> None:
    text = base64.b64encode(b"data").decode()
    assert bodies("data", [{"b64": text}, text, {"data": {"b64": text}}]) == [{"data": text}] * 3


@pytest.mark.parametrize("body", [b"", b"[1]", b"1", b"{", b"{}", b'{"x": 1}', b"\xff", b"[" * 100_000])
def test_bodies_of_another_kind(body: bytes) -> None:
    assert of("rows").read(body) is None


def test_an_api_may_read_instances_itself() -> None:
    assert not of("own").applies
    assert of("rows").applies


def answered(api: str, answers: list[str], count: int) -> Any:
    return json.loads(of(api).answer([text.encode() for text in answers], count))["predictions"]


def test_predictions() -> None:
    assert answered("rows", ["[1,2]"], 2) == [1, 2]
    assert answered("rows", [" [1,2] "], 2) == [1, 2]
    assert answered("pair", ['{"label":["a","b"],"score":[1,2]}'], 2) == [
        {"label": "a", "score": 1},
        {"label": "b", "score": 2},
    ]
    assert answered("pair", ['{"label":["a"],"score":[1,2]}'], 2) == [{"label": ["a"], "score": [1, 2]}]
    assert answered("pair", ['{"mean": 3}'], 2) == [{"mean": 3}]
    assert answered("rows", ["7"], 3) == [7]
    assert answered("one_row", ["1", "2"], 2) == [1, 2]
    assert answered("one_row", [], 0) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(JSON, max_size=5), st.sampled_from([None, 2]))
def test_any_instances_pass_through_unchanged(instances: list[Any], indent: int | None) -> None:
    """Whatever stands in the list, and however it is written, the api's decoder sees the same."""
    body = json.dumps({"instances": instances}, indent=indent).encode()
    read = of("any_shape").read(body)
    assert read is not None
    seen = json.loads(read[0])["x"]
    named = [each for each in instances if isinstance(each, dict) and each and each.keys() <= {"x"}]
    assert seen == (instances if len(named) < len(instances) or not instances else [e["x"] for e in named])
