"""Values through messages: the arguments are those that JSON gives, and so are the errors."""

# ruff: noqa: E501 - tables of cases

from __future__ import annotations

import datetime
import math
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jaxtyping import Float32
from PIL import Image
from typed_messages import request_of, same
from typed_zoo import (
    Address,
    Bird,
    Box,
    Cat,
    Colour,
    Dog,
    Flower,
    Level,
    Person,
    Point,
    Row,
    Settings,
    Tree,
    Zoo,
)

from tiffin import File
from tiffin.errors import InferenceError, InvalidInputError, MalformedInputError, RequestError
from tiffin.runtime.grpc.typed.method import TypedMethod
from tiffin.runtime.grpc.typed.proto import TypedProto
from tiffin.runtime.schema.encode import json_bytes
from tiffin.runtime.service.service import service_info

PROTO = TypedProto(service_info(Zoo))
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ints = st.integers(-(2**63), 2**63 - 1)
small = st.integers(-9, 9)
floats = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
days = st.dates()
utc = st.datetimes(timezones=st.just(datetime.timezone.utc), min_value=datetime.datetime(1, 1, 2))  # noqa: DTZ001
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def arrays(dtype: str, shape: Any) -> st.SearchStrategy[Any]:
    element = {"f": st.floats(-1e6, 1e6, width=32)}.get(np.dtype(dtype).kind)
    return hnp.arrays(dtype, shape, elements=element)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the fields: what is left out has a default."""
    return st.fixed_dictionaries({}, optional=fields)


def with_some(given_fields: dict[str, Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(given_fields, optional=fields)


flowers = st.deferred(
    lambda: st.builds(
        Flower,
        petals=arrays("f4", 4),
        colour=st.sampled_from(Colour),
        notes=st.none() | st.lists(texts, max_size=2),
        inner=st.none() | flowers,
        count=ints,
        maybe=st.none() | small,
        picture=st.binary(max_size=4),
    )
)
trees = st.deferred(lambda: st.builds(Tree, value=small, children=st.lists(trees, max_size=2)))
addresses = st.builds(Address, street=texts, zip=st.none() | small)
people = st.builds(
    Person,
    name=texts,
    ages=st.lists(small, max_size=3),
    address=addresses,
    others=st.dictionaries(texts, addresses, max_size=2),
    born=st.none() | days,
    price=st.decimals(-100, 100, places=2),
    kind=st.sampled_from(["a", "b"]),
    boss=st.none(),
)
points = st.builds(Point, floats, floats, st.none() | floats)

CALLS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "scalars": with_some(
        {
            "truth": st.booleans(),
            "number": st.integers(-5, 2**63 - 1),
            "ratio": floats,
            "text": texts,
            "raw": st.binary(max_size=9),
            "either": floats | small,
            "maybe": st.none() | ints,
        },
        defaulted=floats,
        perhaps=st.none() | texts,
        other=st.none() | ints,
    ),
    "written": with_some(
        {
            "when": utc | st.datetimes(),
            "day": days,
            "at": st.times(),
            "instant": utc,
            "took": st.timedeltas(datetime.timedelta(-10_000), datetime.timedelta(10_000)),
            "who": st.uuids(),
            "price": st.decimals(allow_nan=False, allow_infinity=False, places=3),
        },
        later=st.none() | days,
    ),
    "choices": with_some(
        {
            "colour": st.sampled_from(Colour),
            "level": st.sampled_from(Level),
            "kind": st.sampled_from(["a", "b"]),
        },
        number=st.sampled_from([1, 2]),
        mixed=st.sampled_from(["x", 3, None]),
        colours=st.lists(st.sampled_from(Colour), max_size=3),
        best=st.none() | st.sampled_from(Colour),
    ),
    "lists": with_some(
        {
            "numbers": st.lists(ints, max_size=4),
            "matrix": st.lists(st.lists(floats, max_size=3), max_size=3),
            "names": st.none() | st.lists(texts, max_size=3),
            "unique": st.sets(small, max_size=4),
            "triple": st.tuples(floats, floats, floats),
            "pair": st.tuples(ints, texts),
            "many": st.lists(texts, max_size=3).map(tuple),
            "gaps": st.lists(st.none() | small, max_size=4),
            "mixed": st.lists(small | texts, max_size=4),
            "inner": st.lists(st.none() | st.lists(small, max_size=2), max_size=3),
        },
        few=st.none() | st.lists(small, max_size=3),
        some=st.lists(small, max_size=3),
    ),
    "maps": with_some(
        {
            "counts": st.dictionaries(texts, ints, max_size=3),
            "by_number": st.dictionaries(ints, st.lists(floats, max_size=2), max_size=3),
            "by_day": st.dictionaries(days, texts, max_size=3),
            "by_ratio": st.dictionaries(floats, small, max_size=3),
            "by_colour": st.dictionaries(st.sampled_from(Colour), flowers, max_size=2),
            "gaps": st.dictionaries(texts, st.none() | small, max_size=3),
            "meta": st.dictionaries(texts, json_values, max_size=3),
            "anything": json_values,
        },
        bare=st.dictionaries(texts, json_values, max_size=2),
        maybe=st.none() | st.dictionaries(texts, small, max_size=2),
    ),
    "classes": st.fixed_dictionaries(
        {
            "flower": flowers,
            "pet": st.builds(Cat, texts) | texts,
            "animal": st.none() | st.builds(Dog, st.integers(0, 99)) | st.builds(Bird, small),
            "points": st.lists(points, max_size=3),
            "row": st.builds(Row, small, texts),
            "settings": some(
                rate=floats, names=st.lists(texts, max_size=2), limit=st.none() | small
            ),
            "tree": trees,
            "box": st.builds(Box, small),
            "boxes": st.dictionaries(texts, st.builds(Box, st.lists(texts, max_size=2)), max_size=2),
        }
    ),
    "models": with_some(
        {"person": people, "people": st.lists(people, max_size=2)}, address=st.none() | addresses
    ),
    "arrays": st.integers(0, 4).flatmap(
        lambda n: with_some(
            {
                "x": arrays("f4", (n, 4)),
                "y": arrays("i8", (n,)),
                "anything": arrays("f8", hnp.array_shapes(max_dims=3, max_side=3)),
                "tensor": arrays("f4", (2, 1, 2)).map(torch.from_numpy),
            },
            mask=st.none() | arrays("?", (n,)),
            pixels=st.lists(arrays("u1", (2, 3)), max_size=2),
        )
    ),
}  # fmt: skip


def method(name: str) -> TypedMethod:
    return PROTO.methods[name]


def message(name: str, arguments: dict[str, Any]) -> bytes:
    return request_of(method(name), arguments)


@pytest.mark.parametrize("name", CALLS)
def test_a_message_gives_the_arguments_that_json_gives(name: str) -> None:
    @SETTINGS
    @given(CALLS[name])
    def check(arguments: dict[str, Any]) -> None:
        from_json = method(name).api.inputs.decode_json(json_bytes(arguments))
        from_message = method(name).decode(message(name, arguments))
        assert same(from_message, from_json)

    check()


@pytest.mark.parametrize("name", CALLS)
def test_any_bytes_give_arguments_or_a_request_error(name: str) -> None:
    @SETTINGS
    @given(CALLS[name], st.binary(max_size=20), st.data())
    def check(arguments: dict[str, Any], noise: bytes, data: st.DataObject) -> None:
        body = message(name, arguments)
        at = data.draw(st.integers(0, len(body)))
        for tried in (noise, body[:at] + noise + body[at:], body[:at] + noise + body[at + len(noise) :]):
            try:
                method(name).decode(tried)
            except RequestError as error:  # noqa: PERF203
                assert error.status in (400, 422)

    check()


def asked(name: str, **fields: Any) -> dict[str, Any]:
    """Decodes a message whose fields are set by hand."""
    found = method(name)
    return found.decode(found._request(**fields).SerializeToString())


X = {"x": {"numbers": range(8), "shape": [2, 4]}, "y": {"integers": [1, 2]}}
REST = {"anything": {"texts": ["a"]}, "tensor": {"numbers": [1, 2], "shape": [1, 2]}}


@pytest.mark.parametrize(
    ("name", "fields", "path", "words"),
    [
        ("choices", {"level": 1, "kind": "a"}, "$.colour", "missing field `colour`"),
        ("choices", {"colour": 1, "level": 1}, "$.kind", "missing field `kind`"),
        ("choices", {"colour": 9, "level": 1, "kind": "a"}, "$.colour", "no value with the number 9"),
        ("choices", {"colour": 1, "level": 1, "kind": "c"}, "$.kind", "Invalid enum value 'c'; expected one of"),
        ("scalars", {"number": -6}, "$.number", "Expected `int` >= -5, got -6"),
        ("scalars", {"ratio": math.nan}, "$.ratio", "expected a finite number, got nan"),
        ("written", {"when": "now"}, "$.when", "Invalid RFC3339"),
        ("lists", {"triple": [1.0]}, "$.triple", "Expected `array` of length 3, got 1"),
        ("lists", {"triple": [1, 2, 3], "pair": {}, "mixed": [{}]}, "$.mixed[0]", "Expected `int | str`, got `null`"),
        ("classes", {}, "$.flower", "missing field `flower`"),
        ("arrays", {**X, **REST, "y": {"integers": [1]}}, "$.y", "expected shape [n] with n = 2"),
        ("arrays", {**X, **REST, "x": {"data": b"123"}}, "$.x.data", "3 bytes are no array"),
        ("arrays", {**X, **REST, "x": {"data": bytes(16), "numbers": [1]}}, "$.x", "in one form, got data and numbers"),
        ("arrays", {**X, **REST, "x": {"numbers": [1, 2]}}, "$.x.shape", "2 elements do not fill the shape [n, 4]"),
        ("arrays", {**X, **REST, "x": {"numbers": [1e300] * 4}}, "$.x[0][0]", "1e+300 does not fit float32"),
        ("arrays", {**X, **REST, "y": {"numbers": [1.5, 2]}}, "$.y", "expected int64 elements, got float"),
        ("arrays", {**X, **REST, "anything": {"data": bytes(8)}}, "$.anything.dtype", "name the type"),
        ("arrays", {**X, **REST, "anything": {"data": b"1", "dtype": "object"}}, "$.anything.dtype", "not supported"),
        ("media", {"frame": {"columns": [{"name": "a"}, {"name": "a"}]}}, "$.frame", "'a' is there twice"),
        ("models", {"person": {"name": "x", "kind": "c", "address": {}}}, "$.person.kind", "Input should be 'a' or 'b'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_path(
    name: str, fields: dict[str, Any], path: str, words: str
) -> None:
    given_fields = {"colour": 1, **fields} if name == "scalars" and "colour" in fields else fields
    with pytest.raises(InvalidInputError) as caught:
        asked(name, **given_fields)
    assert caught.value.path == path
    assert words in caught.value.message


def test_bytes_that_are_no_message_are_malformed() -> None:
    with pytest.raises(MalformedInputError, match=r"no the_zoo\.ScalarsRequest"):
        method("scalars").decode(b"\xff\xff\xff")


def test_a_field_that_the_server_does_not_know_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="unknown field number 15"):
        method("count").decode(b"\x08\x01\x78\x01")


def test_tensors_may_be_written_by_people() -> None:
    found = asked("arrays", **X, **REST)
    assert found["x"].dtype == np.float32
    assert found["x"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert asked("arrays", **{**X, **REST, "x": {"numbers": range(8)}})["x"].shape == (2, 4)
    assert found["y"].tolist() == [1, 2]
    assert found["anything"].tolist() == ["a"]
    typed = asked("arrays", **{**X, **REST, "anything": {"integers": [1, 2], "dtype": "uint8"}})["anything"]
    assert typed.dtype == np.uint8


def test_bfloat16_arrives_as_the_tensor_it_was() -> None:
    sent = torch.tensor([1.5, -2.0, 3e38], dtype=torch.bfloat16)
    data = sent.view(torch.int16).numpy().tobytes()
    half = {"dtype": "bfloat16", "data": data, "shape": [3]}
    found = asked("arrays", **X, **REST, half=half)["half"]
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, sent)


def test_files_images_and_tables() -> None:
    frame = pd.DataFrame(
        {"a": [1.5, 2.0], "b": ["x", None], "c": [1, 2], "d": [True, False], "e": [0.5, math.nan]}
    )
    image = Image.new("RGB", (2, 3), (1, 2, 3))
    sent = {
        "frame": frame,
        "image": image,
        "file": File(b"12", name="n.csv", media_type="text/csv"),
        "files": [],
    }
    found = method("media").decode(message("media", sent))
    pd.testing.assert_frame_equal(found["frame"], frame)
    assert found["image"].getpixel((1, 2)) == (1, 2, 3)
    assert found["file"] == sent["file"]
    assert found["files"] == []


def answered(hint: Any, value: Any) -> Any:
    """A result, as the caller finds it in the reply."""
    found = answering(hint)
    reply = found._reply.FromString(found(value))
    assert found._result is not None
    return found._result.read(reply)


def answering(hint: Any) -> TypedMethod:
    import tiffin

    class Service:
        def call(self) -> Any: ...

        call.__annotations__["return"] = hint
        call = tiffin.api(call)

    return TypedProto(service_info(tiffin.service(Service))).methods["call"]


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (list[float], np.array([1.5, 2], np.float32), [1.5, 2.0]),
        (list[list[int]], torch.ones(1, 2, dtype=torch.int64), [[1, 1]]),
        (list[int], pd.Series([1, 2]), [1, 2]),
        (float, np.float32(0.5), 0.5),
        (float, 3, 3.0),
        (int, np.int64(3), 3),
        (int, torch.tensor(3), 3),
        (bool, np.bool_(True), True),
        (dict[str, float], {"a": np.float64(1)}, {"a": 1.0}),
        (dict[str, Any], {"a": np.arange(2), "n": math.nan}, {"a": [0, 1], "n": None}),
        (Any, Point(1.0), [1, 1, None]),
        (list[Colour], [Colour.RED, "dark blue"], ["red", "dark blue"]),
        (Level, Level.HIGH, 20),
        (str | int | None, 3, 3),
        (str | None, None, None),
        (float, math.inf, math.inf),
        (Bird | Dog | None, Dog(3), {"species": "dog", "yearsOld": 3}),
        (Settings, {"names": ["a"]}, {"names": ["a"]}),
        (Address, Address(street="x"), {"street": "x"}),
        (tuple[int, ...], (1, 2), [1, 2]),
        (np.ndarray, np.array([["a", "b"]]), [["a", "b"]]),
        (np.ndarray, np.array(["2024-01-01"], "M8[D]"), ["2024-01-01"]),
        (bytes, bytearray(b"x"), b"x"),
        (datetime.date, datetime.date(2024, 1, 2), "2024-01-02"),
        (tuple[int, str], (1, "a"), [1, "a"]),
    ],
)  # fmt: skip
def test_results_in_all_their_forms(hint: Any, value: Any, expected: Any) -> None:
    found = answered(hint, value)
    found = found.tolist() if isinstance(found, np.ndarray) else found
    assert found == expected or (expected is None and not isinstance(found, (int, str)))


def test_computed_fields_are_in_answers() -> None:
    person = Person(name="ann", address=Address(street="x"))
    assert answered(Person, person)["shout"] == "ANN"


def test_an_array_goes_out_as_its_bytes() -> None:
    found = answered(np.ndarray, np.arange(4, dtype=">i2").reshape(2, 2))
    assert found == {"dtype": "int16", "shape": [2, 2], "data": np.arange(4, dtype="<i2").tobytes()}
    half = answered(torch.Tensor, torch.tensor([1.5], dtype=torch.bfloat16))
    assert half == {"dtype": "float32", "shape": [1], "data": np.float32(1.5).tobytes()}


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("hint", "value", "words"),
    [
        (list[int], [1, "a"], "at [1]"),
        (int, 2**63, "too large for int64"),
        (float, 2**53 + 1, "more digits than a double"),
        (Any, 2**60, "more digits than a double"),
        (int, 1.5, "float"),
        (str, 1, "expected a str, got a int"),
        (str, "\ud800", "surrogate"),
        (list[int], None, "expected a list, got None"),
        (dict[str, int], [1], "expected a dict"),
        (Flower, 3, "no attribute 'petals' at .petals"),
        (Flower, Flower(petals=np.ones(3)), "expected shape [4], got [3] at .petals"),
        (Colour, "green", "'green' is no value of Colour"),
        (Tree, CYCLE, "at .value"),
        (list[Any], CYCLE, "nested too deeply"),
        (int | str, 1.5, "is none of Int, String"),
        (datetime.date, 3, "expected a date"),
        (np.ndarray, np.array([object()]), "give it a dtype"),
        (tuple[int, str], (1,), "expected a tuple of 2 values"),
    ],
)  # fmt: skip
def test_results_that_do_not_fit_are_errors_of_the_service(hint: Any, value: Any, words: str) -> None:
    with pytest.raises(InferenceError) as caught:
        answering(hint)(value)
    assert words in caught.value.message
    assert "that cannot be sent" in caught.value.message


def test_nothing_is_an_empty_reply() -> None:
    assert answering(None)(None) == b""


def test_the_largest_array_is_worth_no_more_than_its_bytes() -> None:
    body = message("arrays", {"x": np.ones((1000, 4), np.float32)})
    assert len(body) < 1000 * 4 * 4 + 50


def test_json_and_messages_refuse_the_same_values() -> None:
    inputs = method("scalars").api.inputs
    with pytest.raises(InvalidInputError) as from_json:
        inputs.decode_json(
            msgspec.json.encode(
                {"truth": True, "number": -6, "ratio": 1, "text": "", "raw": "", "either": 1, "maybe": None}
            )
        )
    with pytest.raises(InvalidInputError) as from_message:
        asked("scalars", number=-6)
    assert (from_json.value.message, from_json.value.path) == (
        from_message.value.message,
        from_message.value.path,
    )


def test_large_tensors_are_read_and_written_as_small_ones_are() -> None:
    x = np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32)
    sent = {"x": x, "y": np.arange(5000), "anything": np.array([["ä", "b"]]), "tensor": torch.ones(3, 2)}
    found = method("arrays").decode(request_of(method("arrays"), sent))
    assert same({name: found[name] for name in sent}, sent)
    twice = request_of(method("arrays"), {"x": x}) + request_of(method("arrays"), sent)
    with pytest.raises(InvalidInputError, match=r"shape \[5000, 4, 5000, 4\]"):
        method("arrays").decode(twice)  # protobuf joins the lists of a message that is there twice
    assert answered(np.ndarray, x) == {"dtype": "float32", "shape": [5000, 4], "data": x.tobytes()}
    texts_ = np.array(["abcdefgh"] * 5000)
    assert (answered(np.ndarray, texts_) == texts_).all()


def test_what_is_wrong_with_a_large_tensor_is_told_as_with_a_small_one() -> None:
    large = {"data": bytes(16 * 5000), "shape": [5000, 4]}
    for x, path in (({**large, "numbers": [1.0]}, "$.x"), ({**large, "shape": [3]}, "$.x.data")):
        with pytest.raises(InvalidInputError) as caught:
            asked("arrays", **{**X, **REST, "x": x})
        assert caught.value.path == path
    with pytest.raises(InferenceError, match=r"expected shape \[4\], got \[9000\]"):
        answering(Float32[np.ndarray, "4"])(np.ones(9000, np.float32))
