"""Classes of the user's: dataclasses, Structs, TypedDicts, pydantic, enums, torch; and rebuilding them."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import sys
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypedDict

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from jaxtyping import BFloat16, Float, Float32, Int64

from tiffin.errors import InvalidInputError, MalformedInputError, ServiceDefinitionError
from tiffin.runtime.schema.convert import convert
from tiffin.runtime.schema.file import File
from tiffin.runtime.schema.inputs import Inputs


class Kind(enum.Enum):
    ONE = "one"
    TWO = "two"


@dataclasses.dataclass
class Box:
    corners: Float32[np.ndarray, "4"]
    label: str = "x"
    mask: Optional[np.ndarray] = None  # noqa: UP045 - both spellings must work
    file: bytes = b""


class Row(msgspec.Struct, forbid_unknown_fields=True):
    boxes: list[Box]
    kind: Kind = Kind.ONE
    tensor: Float32[torch.Tensor, "n"] | None = None


class Named(NamedTuple):
    a: int
    b: str


class Typed(TypedDict):
    when: datetime.datetime


class Person(pydantic.BaseModel):
    name: str
    ages: list[int] = []
    born: datetime.date | None = None


@dataclasses.dataclass
class Tree:
    value: int
    children: list[Tree] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Linked:
    x: Float32[np.ndarray, "n n+1"]


def call(
    row: Row,
    named: Named,
    typed: Typed,
    person: Person,
    people: dict[str, Person],
    tree: Tree,
    choice: Literal["a", "b"],
    count: Annotated[int, msgspec.Meta(ge=1)],
    pair: tuple[int, Float32[np.ndarray, "2"]],
    either: int | str,
    anything: Any = None,
) -> None: ...


CALL = Inputs.of(call, where="test")
GOOD: dict[str, Any] = {
    "row": {"boxes": [{"corners": [1, 2, 3, 4]}], "kind": "two", "tensor": [1, 2]},
    "named": [1, "b"],
    "typed": {"when": "2024-01-31T12:00:00Z"},
    "person": {"name": "Ada", "ages": [3], "born": "1815-12-10"},
    "people": {"x": {"name": "Bob"}},
    "tree": {"value": 1, "children": [{"value": 2}]},
    "choice": "a",
    "count": 1,
    "pair": [1, [1, 2]],
    "either": "s",
}


def test_everything_at_once() -> None:
    for values in (
        CALL.decode_json(json.dumps(GOOD).encode()),
        CALL.decode("application/msgpack", msgspec.msgpack.encode(GOOD)),
    ):
        box = values["row"].boxes[0]
        assert isinstance(box, Box)
        assert box.corners.dtype == np.float32
        assert values["row"].kind is Kind.TWO
        assert torch.equal(values["row"].tensor, torch.tensor([1.0, 2.0]))
        assert values["named"] == Named(1, "b")
        assert values["typed"]["when"].year == 2024
        assert values["person"].born == datetime.date(1815, 12, 10)
        assert values["people"]["x"] == Person(name="Bob")
        assert values["tree"].children[0].value == 2
        assert values["pair"][1].tolist() == [1, 2]
        assert values["either"] == "s"
        assert values["anything"] is None


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("row", {"boxes": [{"corners": [1, 2, 3]}]}, "$.row.boxes[0].corners"),
        ("row", {"boxes": [{"corners": [1, 2, 3, "x"]}]}, "$.row.boxes[0].corners[3]"),
        ("row", {"boxes": [{"corners": [1, 2, 3, 4], "mask": [[1], [1, 2]]}]}, "$.row.boxes[0].mask[1]"),
        ("row", {"boxes": [], "kinds": "one"}, "$.row.kinds"),
        ("row", {"boxes": [], "tensor": [True]}, "$.row.tensor[0]"),
        ("row", {}, "$.row.boxes"),
        ("named", [1], "$.named"),
        ("typed", {"when": "yesterday"}, "$.typed.when"),
        ("person", {"name": "Ada", "ages": [1, "x"]}, "$.person.ages[1]"),
        ("people", {"ok": {"name": "a"}, "bad": {}}, "$.people.bad.name"),
        ("tree", {"value": 1, "children": [{}]}, "$.tree.children[0].value"),
        ("choice", "c", "$.choice"),
        ("count", 0, "$.count"),
        ("pair", [1, [1]], "$.pair[1]"),
        ("either", 1.5, "$.either"),
    ],
)
def test_paths_lead_into_classes(field: str, value: Any, path: str) -> None:
    body = {**GOOD, field: value}
    for decode in (
        lambda: CALL.decode_json(json.dumps(body).encode()),
        lambda: CALL.decode("application/msgpack", msgspec.msgpack.encode(body)),
    ):
        with pytest.raises(InvalidInputError) as caught:
            decode()
        assert caught.value.path == path, caught.value


def test_tensors() -> None:
    def tensors(
        x: Float32[torch.Tensor, "n 2"],
        y: torch.Tensor,
        z: BFloat16[torch.Tensor, "n"],
        w: Float[torch.Tensor, ""],
    ) -> None: ...

    compiled = Inputs.of(tensors, where="test")
    values = compiled.decode_json(b'{"x": [[1, 2]], "y": [1, 2], "z": [1.5], "w": 1}')
    assert [values[name].dtype for name in "xyzw"] == [
        torch.float32,
        torch.int64,
        torch.bfloat16,
        torch.float64,
    ]
    assert values["x"].shape == (1, 2)
    compact = {"dtype": "float32", "shape": [1, 2], "data": np.ones(2, "<f4").tobytes()}
    values = compiled.decode(
        "application/msgpack", msgspec.msgpack.encode({"x": compact, "y": [], "z": [1], "w": 1})
    )
    assert values["x"].tolist() == [[1, 1]]
    with pytest.raises(InvalidInputError) as caught:
        compiled.decode_json(b'{"x": [[1, 2]], "y": [1, 2], "z": [1, 2], "w": 1}')
    assert caught.value.path == "$.z"
    assert compiled.specs["x"].kind == "tensor"
    assert compiled.specs["x"].shape == ["n", 2]


def test_specs_are_the_manifests() -> None:
    specs = CALL.specs
    assert specs["count"].kind == "number"
    assert specs["person"].json_schema["properties"]["name"] == {"title": "Name", "type": "string"}
    for spec in specs.values():
        assert msgspec.json.encode(spec)


def test_convert_rebuilds_what_crossed_a_socket() -> None:
    corners = np.ones(4, np.float32)
    plain = {"boxes": [{"corners": corners, "file": b"raw"}], "kind": "two"}
    row = convert(plain, Row)
    assert isinstance(row.boxes[0], Box)
    assert row.boxes[0].corners is corners
    assert row.boxes[0].file == b"raw"
    assert convert({"name": "Ada", "ages": [1]}, Person) == Person(name="Ada", ages=[1])
    assert convert([1, [1, 2]], tuple[int, list[int]]) == (1, [1, 2])
    assert convert([{"value": 1}], list[Tree]) == [Tree(1)]
    tensor = torch.ones(2)
    assert convert([tensor], list[torch.Tensor])[0] is not None
    frame = pd.DataFrame({"a": [1]})
    file = File(b"x")
    assert convert({"a": frame}, dict[str, pd.DataFrame])["a"] is frame
    assert convert(file, File) is file
    unknown = object()
    assert convert(unknown, Any) is unknown
    assert convert(unknown, None | complex) is unknown
    with pytest.raises(InvalidInputError) as caught:
        convert({"boxes": [{"corners": corners[:3]}]}, Row)
    assert caught.value.path == "$.boxes[0].corners"


def refused(function: Any, match: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=match) as caught:
        Inputs.of(function, where="file.py:1 Test.call")
    assert "file.py:1 Test.call" in str(caught.value)


def test_definitions_that_cannot_work_say_why() -> None:
    import types

    def no_hint(self, x): ...  # type: ignore[no-untyped-def]
    def stars(self, *x: int) -> None: ...  # type: ignore[no-untyped-def]
    def keywords(**x: int) -> None: ...
    def positional(x: int, /) -> None: ...
    def missing(x: Nowhere) -> None: ...  # type: ignore[name-defined]
    def bad_shape(x: Float32[np.ndarray, "4 *a *b"]) -> None: ...
    def number(x: complex) -> None: ...
    def scalar(x: np.float32) -> None: ...
    def module(x: Any) -> None: ...
    def mixed(x: np.ndarray | str) -> None: ...
    def bfloat(x: BFloat16[np.ndarray, "n"]) -> None: ...
    def unbound(x: Float32[np.ndarray, "n+1"]) -> None: ...
    def field(x: Linked) -> None: ...
    def unshown(x: Any = object()) -> None: ...  # noqa: B008
    def thing(x: types.ModuleType) -> None: ...

    from PIL import Image

    module.__annotations__["x"] = Image
    refused(no_hint, "no type hint")
    refused(stars, r"\*x cannot be described")
    refused(keywords, r"\*\*x cannot be described")
    refused(positional, "remove the '/'")
    refused(missing, "import it in the module")
    refused(bad_shape, "which fails")
    refused(number, "complex has no form")
    refused(scalar, "float32 has no form")
    refused(module, "use PIL.Image.Image")
    refused(mixed, "union with None")
    refused(bfloat, "numpy has no bfloat16")
    refused(unbound, "computes with 'n'")
    refused(field, "field 'x' of Linked")
    refused(unshown, "default of 'x'")
    refused(thing, "ModuleType")


def test_postponed_hints_see_local_names() -> None:
    @dataclasses.dataclass
    class Local:
        a: int

    def uses(self: Any, x: Local, y: Int64[np.ndarray, "n 4"]) -> None: ...

    del uses.__annotations__["self"]
    compiled = Inputs.of(uses, where="test", namespace={"Local": Local})
    assert compiled.names == ("x", "y")
    assert compiled.decode_json(b'{"x": {"a": 1}, "y": []}')["x"] == Local(1)


def test_no_parameters() -> None:
    def nothing() -> None: ...

    compiled = Inputs.of(nothing, where="test")
    assert compiled.decode_json(b"") == {}
    assert compiled.decode_json(b"{}") == {}
    assert compiled.decode("", b"") == {}
    assert compiled.decode("application/x-www-form-urlencoded", b"") == {}
    with pytest.raises(InvalidInputError, match="none is expected"):
        compiled.decode_json(b'{"a": 1}')


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement")
def test_type_aliases() -> None:
    names: dict[str, Any] = {"np": np}
    exec(
        "import numpy.typing as npt\n"
        "type A[T] = list[T]\ntype B = A[npt.NDArray[np.uint8]]\ntype J = list[J]",
        names,
    )

    def good(x: Any) -> None: ...
    def bad(x: Any) -> None: ...

    good.__annotations__["x"], bad.__annotations__["x"] = names["B"], names["J"]
    compiled = Inputs.of(good, where="test")
    assert compiled.decode_json(b'{"x": [[1]]}')["x"][0].dtype == np.uint8
    with pytest.raises(InvalidInputError) as caught:
        compiled.decode_json(b'{"x": [[1], [300]]}')
    assert caught.value.path == "$.x[1][0]"
    refused(bad, "contains itself")


def test_a_wrong_choice_is_named_once() -> None:
    def call(self: object, x: Literal["a", "b"]) -> None: ...

    with pytest.raises(InvalidInputError) as raised:
        Inputs.of(call, where="test").decode_json(b'{"x": "c"}')
    assert raised.value.message.count("'c'") == 1


def test_broken_utf8_is_found_in_the_body() -> None:
    def call(self: object, x: str) -> None: ...

    with pytest.raises(MalformedInputError, match="at byte 8"):
        Inputs.of(call, where="test").decode_json(b'{"x": "a\xff"}')


@pytest.mark.parametrize(
    ("hint", "default"),
    [
        (int, "a"),
        (int, 1.5),
        (str, 1),
        (int, None),
        (Literal["a", "b"], "c"),
        (list[int], ["a"]),
        (Annotated[int, msgspec.Meta(ge=1)], 0),
        (datetime.date, "2024-01-32"),
    ],
)
def test_a_default_that_does_not_fit_fails_at_import(hint: Any, default: Any) -> None:
    def call(self: object, x: Any = default) -> None: ...

    call.__annotations__["x"] = hint
    with pytest.raises(ServiceDefinitionError, match="default of 'x' does not fit") as raised:
        Inputs.of(call, where="test")
    assert ("| None" in str(raised.value)) == (default is None)


@pytest.mark.parametrize(
    ("hint", "default"),
    [
        (int | None, None),
        (float, 1),
        (float, float("nan")),
        (float, float("-inf")),
        (list[int], ()),
        (Kind, next(iter(Kind))),
        (datetime.datetime, datetime.datetime(2024, 1, 31)),  # noqa: DTZ001
        (datetime.timedelta, datetime.timedelta(seconds=1)),
        (bytes, b"x"),
        (File, File(b"x")),
        (dict[str, int], {}),
    ],
)
def test_a_default_that_fits_is_given_as_it_is(hint: Any, default: Any) -> None:
    def call(self: object, x: Any = default) -> None: ...

    call.__annotations__["x"] = hint
    given = Inputs.of(call, where="test").decode_json(b"")["x"]
    assert given == default or given is default


class Lamp(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Spot(NamedTuple):
    lamp: Lamp


@dataclasses.dataclass
class Room:
    lamp: Lamp


@pytest.mark.parametrize(
    ("hint", "value", "path", "allowed"),
    [
        (Lamp, "x", "$.v", "'red', 'blue'"),
        (Lamp | None, "x", "$.v", "'red', 'blue'"),
        (Lamp | int, "x", "$.v", "'red', 'blue'"),
        (Level, 3, "$.v", "1, 2"),
        (Literal["a", "b"], "x", "$.v", "'a', 'b'"),
        (list[Lamp], ["red", "x"], "$.v[1]", "'red', 'blue'"),
        (tuple[int, Lamp], [1, "x"], "$.v[1]", "'red', 'blue'"),
        (dict[str, Lamp], {"a": "red", "b": "x"}, "$.v.b", "'red', 'blue'"),
        (dict[Lamp, int], {"x": 1}, "$.v", "'red', 'blue'"),
        (list[Room], [{"lamp": "red"}, {"lamp": "x"}], "$.v[1].lamp", "'red', 'blue'"),
        (Spot, ["x"], "$.v[0]", "'red', 'blue'"),
        (Literal[tuple(range(30))], 99, "$.v", ", ".join(map(str, range(20))) + ", …"),
    ],
)
@pytest.mark.parametrize("media", ["application/json", "application/msgpack"])
def test_errors_about_enums_list_what_is_allowed(
    hint: Any, value: Any, path: str, allowed: str, media: str
) -> None:
    def call(v: Any) -> None: ...

    call.__annotations__["v"] = hint
    encode = msgspec.json.encode if media.endswith("json") else msgspec.msgpack.encode
    with pytest.raises(InvalidInputError) as caught:
        Inputs.of(call, where="test").decode(media, encode({"v": value}))
    assert caught.value.path == path
    assert caught.value.message.endswith(f"; expected one of: {allowed}")


def test_errors_about_enums_in_queries_and_results_list_what_is_allowed() -> None:
    def call(v: Lamp) -> None: ...

    with pytest.raises(InvalidInputError, match=r"Invalid enum value 'x'; expected one of: 'red', 'blue'"):
        Inputs.of(call, where="test").decode("", b"", "v=x")
    with pytest.raises(InvalidInputError, match=r"'x'; expected one of: 'red', 'blue'"):
        convert([{"lamp": "x"}], list[Room])
