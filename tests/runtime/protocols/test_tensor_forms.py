"""Hints as tensors: what each is described as, and the way there and back."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import numpy as np
import pytest
from jaxtyping import Bool, Float, Float32, Int64, Shaped

import tiffin
from tiffin.errors import InferenceError, InvalidInputError
from tiffin.runtime.manifest import MethodSpec, TypeSpec
from tiffin.runtime.protocols import byte_strings
from tiffin.runtime.protocols.endpoint import Endpoint
from tiffin.runtime.protocols.tensor import Tensor, TensorSpec
from tiffin.runtime.protocols.tensor_form import form_of
from tiffin.runtime.protocols.tensor_inputs import TensorInputs
from tiffin.runtime.protocols.tensor_outputs import TensorOutputs
from tiffin.runtime.service.service import service_info
from tiffin.runtime.supervisor.control import ServerOptions


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Arrays:
    best: Int64[np.ndarray, "n"]
    score: float
    words: list[str]


class Renamed(msgspec.Struct, rename="camel"):
    top_score: float
    all_scores: Float32[np.ndarray, "n"]


class Pair(NamedTuple):
    a: Float32[np.ndarray, "n"]
    b: int


class Nested(TypedDict):
    inner: dict[str, int]
    count: int


@tiffin.service
class Forms:
    @tiffin.api
    async def arrays(
        self,
        fixed: Float32[np.ndarray, "n 4"],
        family: Float[np.ndarray, "... 3"],
        anything: np.ndarray,
        shaped: Shaped[np.ndarray, "2 m"],
        flags: Bool[np.ndarray, "n"] | None = None,
    ) -> Arrays:
        raise NotImplementedError

    @tiffin.api
    async def scalars(
        self,
        number: int,
        ratio: Annotated[float, msgspec.Meta(ge=0)],
        flag: bool,
        text: str = "a",
        maybe: int | None = None,
    ) -> Renamed:
        raise NotImplementedError

    @tiffin.api
    async def texts(self, day: datetime.date, color: Color, kind: Literal["a", "b"]) -> Pair:
        raise NotImplementedError

    @tiffin.api
    async def lists(
        self, numbers: list[float], flags: list[bool], words: list[str], rows: list[list[int]]
    ) -> list[str]:
        raise NotImplementedError

    @tiffin.api
    async def others(
        self, document: dict[str, Any], person: Arrays, data: bytes, files: list[tiffin.File]
    ) -> Nested:
        raise NotImplementedError


INFO = service_info(Forms)


def inputs(api: str) -> TensorInputs:
    return TensorInputs.of_api(INFO.apis[api])


def outputs(api: str) -> TensorOutputs:
    return TensorOutputs.of_api(INFO.apis[api])


def tensor(name: str, datatype: str, array: Any) -> Tensor:
    found = np.asarray(array)
    return Tensor(name, datatype, found.shape, found)


def octets(name: str, *elements: bytes) -> Tensor:
    return Tensor(name, "BYTES", (len(elements),), byte_strings.as_array(elements, (len(elements),)))


def described(specs: tuple[TensorSpec, ...]) -> list[tuple[str, str, tuple[int, ...], bool]]:
    return [tuple(spec) for spec in specs]  # type: ignore[misc]


def test_arrays_are_described_by_their_hints() -> None:
    assert described(inputs("arrays").specs) == [
        ("fixed", "FP32", (-1, 4), False),
        ("family", "FP64", (-1, 3), False),
        ("anything", "FP64", (-1,), False),
        ("shaped", "FP64", (2, -1), False),
        ("flags", "BOOL", (-1,), True),
    ]


def test_scalars_lists_and_all_else() -> None:
    assert described(inputs("scalars").specs) == [
        ("number", "INT64", (1,), False),
        ("ratio", "FP64", (1,), False),
        ("flag", "BOOL", (1,), False),
        ("text", "BYTES", (1,), True),
        ("maybe", "INT64", (1,), True),
    ]
    assert [(spec.datatype, spec.shape) for spec in inputs("lists").specs] == [
        ("FP64", (-1,)),
        ("BOOL", (-1,)),
        ("BYTES", (-1,)),
        ("INT64", (-1, -1)),
    ]
    assert [(spec.datatype, spec.shape) for spec in inputs("others").specs] == [
        ("BYTES", (1,)),
        ("BYTES", (1,)),
        ("BYTES", (1,)),
        ("BYTES", (-1,)),
    ]


def test_classes_whose_fields_are_tensors_are_several_outputs() -> None:
    assert described(outputs("arrays").specs) == [
        ("best", "INT64", (-1,), False),
        ("score", "FP64", (1,), False),
        ("words", "BYTES", (-1,), False),
    ]
    assert [spec.name for spec in outputs("scalars").specs] == ["topScore", "allScores"]
    assert [spec.name for spec in outputs("texts").specs] == ["a", "b"]
    assert described(outputs("lists").specs) == [("output", "BYTES", (-1,), False)]
    assert described(outputs("others").specs) == [("output", "BYTES", (1,), False)]


def test_a_datatype_that_the_hint_allows_is_taken_as_it_is() -> None:
    family = np.zeros((1, 3), np.float16)
    given = {
        "fixed": tensor("fixed", "FP32", np.zeros((2, 4), np.float32)),
        "family": tensor("family", "FP16", family),
        "anything": tensor("anything", "UINT8", np.arange(3, dtype=np.uint8)),
        "shaped": tensor("shaped", "INT32", np.zeros((2, 5), np.int32)),
    }
    found = inputs("arrays").arguments(list(given.values()), {})
    assert found["family"].dtype == np.float16
    assert found["anything"].dtype == np.uint8
    assert found["flags"] is None
    with pytest.raises(InvalidInputError, match="expected datatype one of FP16, FP32, FP64, got INT32"):
        inputs("arrays").arguments([tensor("family", "INT32", np.zeros((1, 3), np.int32))], {})


def test_bfloat16_bits_become_float32() -> None:
    bits = np.array([[0x3F80, 0xC000, 0x7F80]], np.uint16)
    value = form_of(INFO.apis["arrays"].inputs.parameters["anything"].plain).value(
        tensor("anything", "BF16", bits)
    )
    assert value.dtype == np.float32
    assert value.tolist() == [[1.0, -2.0, np.inf]]


def test_bfloat16_goes_through_torch_bit_by_bit() -> None:
    torch = pytest.importorskip("torch")
    from jaxtyping import BFloat16

    from tiffin.runtime.schema.lower import lower

    form = form_of(lower(BFloat16[torch.Tensor, "n"]))
    assert (form.datatype, form.shape) == ("BF16", (-1,))
    bits = np.array([0x3F80, 0xC049, 0x7F80, 0x0001, 0x8000], np.uint16)
    value = form.value(tensor("x", "BF16", bits))
    assert value.dtype is torch.bfloat16
    back = form.tensor("output", value)
    assert (back.datatype, back.array.tolist()) == ("BF16", bits.tolist())
    assert form.tensor("output", value * 2).array[0] == 0x4000


def test_scalars_keep_their_bounds() -> None:
    right = [tensor("number", "INT64", [3]), tensor("flag", "BOOL", [True])]
    found = inputs("scalars").arguments([*right, tensor("ratio", "FP64", [[0.5]])], {})
    assert found == {"number": 3, "ratio": 0.5, "flag": True, "text": "a", "maybe": None}
    assert type(found["number"]) is int
    with pytest.raises(InvalidInputError, match="input 'ratio': Expected `float` >= 0") as raised:
        inputs("scalars").arguments([*right, tensor("ratio", "FP64", [-1.0])], {})
    assert raised.value.path == "$.inputs[2].data"


def test_parameters_fill_scalars() -> None:
    parameters = {"number": 3, "ratio": 1, "flag": False, "text": "b", "stranger": 1}
    found = inputs("scalars").arguments([], parameters)
    assert found == {"number": 3, "ratio": 1.0, "flag": False, "text": "b", "maybe": None}
    with pytest.raises(InvalidInputError, match="input 'number' is missing"):
        inputs("scalars").arguments([], {"flag": True})


def test_texts_say_dates_enums_and_literals() -> None:
    given = [octets("day", b"2026-11-22"), octets("color", b"red"), octets("kind", b"b")]
    assert inputs("texts").arguments(given, {}) == {
        "day": datetime.date(2026, 11, 22),
        "color": Color.RED,
        "kind": "b",
    }
    with pytest.raises(InvalidInputError, match="Invalid enum value"):
        inputs("texts").arguments([octets("color", b"green")], {})
    with pytest.raises(InvalidInputError, match="expected UTF-8 text"):
        inputs("texts").arguments([octets("color", b"\xff")], {})


def test_lists() -> None:
    given = [
        tensor("numbers", "FP64", [0.5]),
        tensor("flags", "BOOL", [True, False]),
        octets("words", b"a", "é".encode()),
        tensor("rows", "INT64", [[1, 2], [3, 4]]),
    ]
    assert inputs("lists").arguments(given, {}) == {
        "numbers": [0.5],
        "flags": [True, False],
        "words": ["a", "é"],
        "rows": [[1, 2], [3, 4]],
    }


def test_objects_are_json_and_files_their_contents() -> None:
    person = b'{"best": [1], "score": 2, "words": []}'
    given = [octets("document", b'{"a": 1}'), octets("person", person), octets("data", b"\xff")]
    found = inputs("others").arguments([*given, octets("files", b"a", b"b")], {})
    assert found["document"] == {"a": 1}
    assert (found["person"].best.tolist(), found["person"].score) == ([1], 2.0)
    assert (found["data"], [file.data for file in found["files"]]) == (b"\xff", [b"a", b"b"])
    with pytest.raises(InvalidInputError) as raised:
        inputs("others").arguments([octets("person", b'{"best": [1.5]}')], {})
    assert raised.value.path.startswith("$.inputs[0].data[0]")


def test_results_become_tensors() -> None:
    made = outputs("arrays").tensors(Arrays(np.array([1, 2]), 0.5, ["a"]))
    assert [(each.name, each.datatype, each.array.tolist()) for each in made] == [
        ("best", "INT64", [1, 2]),
        ("score", "FP64", [0.5]),
        ("words", "BYTES", [b"a"]),
    ]
    made = outputs("scalars").tensors(Renamed(0.5, np.ones(2, np.float32)))
    assert [each.name for each in made] == ["topScore", "allScores"]
    (document,) = outputs("others").tensors({"inner": {"a": 1}, "count": 2})
    assert msgspec.json.decode(document.array[0]) == {"inner": {"a": 1}, "count": 2}


def test_results_are_held_to_their_hints() -> None:
    with pytest.raises(InferenceError, match="cannot be sent as tensors: expected shape"):
        outputs("arrays").tensors(Arrays(np.zeros((2, 2), np.int64), 0.5, []))
    with pytest.raises(InferenceError, match="cannot be sent as tensors"):
        outputs("arrays").tensors(Arrays(np.array([1]), "much", []))  # type: ignore[arg-type]
    with pytest.raises(InferenceError):
        outputs("arrays").tensors({"best": 1})


def test_other_byte_orders_and_strides_are_put_right() -> None:
    array = np.arange(6, dtype=">i8")[::2]
    (best, *_) = outputs("arrays").tensors(Arrays(array, 0.5, []))
    assert best.array.dtype == np.dtype("<i8")
    assert best.array.flags.c_contiguous
    assert best.array.tolist() == [0, 2, 4]


class TestMethodsOfRunners:
    SPEC = MethodSpec(
        inputs={
            "x": TypeSpec(kind="array", dtype="float32", shape=["n", 4]),
            "k": TypeSpec(kind="number", dtype="int64"),
        },
        output=TypeSpec(kind="array", dtype="int64", shape=["n"]),
    )

    def test_they_are_described_by_the_manifest(self) -> None:
        assert described(TensorInputs.of_method(self.SPEC).specs) == [
            ("x", "FP32", (-1, 4), False),
            ("k", "INT64", (1,), False),
        ]
        assert described(TensorOutputs.of_method(self.SPEC).specs) == [("output", "INT64", (-1,), False)]

    def test_arguments_come_in_the_order_of_the_method(self) -> None:
        x = np.zeros((1, 4), np.float32)
        given = [tensor("k", "INT64", [3]), tensor("x", "FP32", x)]
        found = TensorInputs.of_method(self.SPEC).arguments(given, {})
        assert list(found) == ["x", "k"]
        with pytest.raises(InvalidInputError, match="input 'k' is missing"):
            TensorInputs.of_method(self.SPEC).arguments(given[1:], {})
        with pytest.raises(InvalidInputError, match="expected shape"):
            TensorInputs.of_method(self.SPEC).arguments([tensor("x", "FP32", x[0])], {})

    def test_what_the_result_is_decides_how_it_is_sent(self) -> None:
        out = TensorOutputs.of_method(self.SPEC)
        assert out.tensors(np.array([1.5]))[0].datatype == "FP64"
        assert out.tensors(["a", "b"])[0].array.tolist() == [b"a", b"b"]
        assert out.tensors([{"a": 1}])[0].array.tolist() == [b'[{"a":1}]']

    def test_of_a_method_that_nobody_described_any_name_will_do(self) -> None:
        found = TensorInputs.of_method(MethodSpec()).arguments([tensor("q", "INT8", [1])], {})
        assert [value.tolist() for value in found.values()] == [[1]]


def test_an_endpoint_takes_the_limits_of_the_server() -> None:
    info = INFO.apis["lists"]
    endpoint = Endpoint.of_api("forms", info, Forms(), ServerOptions(timeout_s=2.5, max_body_bytes=10))
    assert (endpoint.timeout_s, endpoint.max_body_bytes) == (2.5, 10)
    endpoint = Endpoint.of_api("forms", info, Forms(), ServerOptions())
    assert (endpoint.timeout_s, endpoint.max_body_bytes) == (info.timeout_s, info.max_body_bytes)
