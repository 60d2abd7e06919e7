"""Unknown fields of dataclasses and TypedDicts, and their defaults."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import pytest
from typing_extensions import TypedDict

from tiffin.errors import InvalidInputError
from tiffin.runtime.schema.convert import convert
from tiffin.runtime.schema.inputs import Inputs
from tiffin.runtime.schema.outputs import Output

T = TypeVar("T")


@dataclasses.dataclass
class Options:
    threshold: float = 0.5
    names: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Tree:
    options: Options
    left: Tree | None = None
    right: Tree | None = None


@dataclasses.dataclass
class Box(Generic[T]):
    inner: T
    size: int = 1


class Words(TypedDict, total=False):
    text: str


class Pair(NamedTuple):
    first: Options
    second: int = 0


class Loose(msgspec.Struct, rename="camel"):
    my_options: Options = msgspec.field(default_factory=Options)


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    x: int = 0


def inputs_of(hint: Any) -> Inputs:
    def api(self: object, x: Any, y: int = 0) -> int:
        return 0

    api.__annotations__["x"] = hint
    return Inputs.of(api, where="here")


def form(value: Any) -> bytes:
    return (
        b'--B\r\ncontent-disposition: form-data; name="x"\r\ncontent-type: application/json\r\n\r\n'
        + msgspec.json.encode(value)
        + b"\r\n--B--\r\n"
    )


CASES = [
    (Options, {"treshold": 1}, "$.x.treshold", "did you mean `threshold`"),
    (Options | None, {"a": 1}, "$.x.a", "known fields: `threshold`, `names`"),
    (Tree, {"options": {}, "left": {"options": {"name": []}}}, "$.x.left.options.name", "`names`"),
    (list[Options], [{}, {"o": 1}], "$.x[1].o", "unknown field `o`"),
    (dict[str, Options], {"a": {}, "b": {"o": 1}}, "$.x.b.o", "unknown field `o`"),
    (tuple[int, Options], [1, {"o": 1}], "$.x[1].o", "unknown field `o`"),
    (Box[Options], {"inner": {"o": 1}}, "$.x.inner.o", "unknown field `o`"),
    (Box[int], {"inner": 1, "sise": 1}, "$.x.sise", "did you mean `size`"),
    (Words, {"txt": ""}, "$.x.txt", "did you mean `text`"),
    (Pair, [{"o": 1}], "$.x[0].o", "unknown field `o`"),
    (Loose, {"myOptions": {"o": 1}}, "$.x.myOptions.o", "unknown field `o`"),
    (Options | list[Options] | int, [{"o": 1}], "$.x[0].o", "unknown field `o`"),
]


@pytest.mark.parametrize(("hint", "value", "path", "said"), CASES)
def test_an_unknown_field_is_refused_however_it_is_sent(hint: Any, value: Any, path: str, said: str) -> None:
    inputs = inputs_of(hint)
    body = {"x": value}
    for media_type, data, query in (
        ("application/json", msgspec.json.encode(body), ""),
        ("application/json", msgspec.json.encode(body), "y=1"),
        ("application/msgpack", msgspec.msgpack.encode(body), ""),
        ("multipart/form-data; boundary=B", form(value), ""),
    ):
        with pytest.raises(InvalidInputError, match=said) as raised:
            inputs.decode(media_type, data, query)
        assert raised.value.path == path


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Tree, {"options": {}, "right": {"options": {"threshold": 2}}}),
        (Options | int, 3),
        (Options | None, None),
        (Loose, {"unknown": 1}),
        (dict[int, Options], {"1": {}}),
        (set[int], [1]),
        (Words, {}),
        (Any, {"o": 1}),
    ],
)
def test_what_is_known_is_taken(hint: Any, value: Any) -> None:
    """A Struct says itself whether it forbids unknown fields, and does not by default."""
    inputs_of(hint).decode_json(msgspec.json.encode({"x": value}))


def test_a_struct_that_forbids_unknown_fields() -> None:
    with pytest.raises(InvalidInputError, match="unknown field `z`"):
        inputs_of(Closed).decode_json(b'{"x": {"z": 1}}')


def test_a_dataclass_comes_back_whole() -> None:
    """msgspec leaves plain defaults to the class, where its encoder does not look."""

    def api(self: object) -> Tree: ...

    whole = {"options": {"threshold": 0.5, "names": []}, "left": None, "right": None}
    encode = Output.of(api, where="here").encode_json
    tree = inputs_of(Tree).decode_json(b'{"x": {"options": {}}}')["x"]
    assert msgspec.json.decode(encode(tree)) == whole
    assert msgspec.json.decode(encode(convert({"options": {}}, Tree))) == whole


def test_the_schema_closes_what_is_closed() -> None:
    components: dict[str, Any] = {}
    inputs_of(tuple[Tree, Loose]).json_schema(components)
    assert components["Tree"]["additionalProperties"] is False
    assert components["Options"]["additionalProperties"] is False
    assert "additionalProperties" not in components["Loose"]
