"""Results → bytes: negotiation, every media type, values nested anywhere, and results that do not fit."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from jaxtyping import Float32, Int64, UInt8
from PIL import Image

from tiffin.errors import InferenceError, NotAcceptableError, ServiceDefinitionError
from tiffin.runtime.schema.encode import msgpack_bytes
from tiffin.runtime.schema.file import File
from tiffin.runtime.schema.npy import read, write
from tiffin.runtime.schema.outputs import Output


def output(hint: Any) -> Output:
    def call() -> None: ...

    call.__annotations__["return"] = hint
    return Output.of(call, where="Test.call")


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    at: Any
    when: datetime.date


class Model(pydantic.BaseModel):
    score: float = pydantic.Field(alias="theScore")


class Loose(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    array: np.ndarray


def test_values_nested_anywhere_become_json() -> None:
    value = {
        "f": np.float32(0.5),
        "i": [np.int64(2), np.uint8(3)],
        "b": np.bool_(True),
        "s": np.str_("x"),
        "a": np.array([[1, 2]]),
        "nan": [float("nan"), np.float64("inf"), np.array([np.nan, 1.0])],
        "t": torch.tensor([1.5], dtype=torch.bfloat16),
        "p": Point(np.array([1]), datetime.date(2024, 1, 31)),
        "e": (Colour.RED, {1}),
        "m": Model(theScore=1),
        "l": Loose(array=np.array([7])),
        "d": pd.DataFrame({"a": [1, None], "b": pd.to_datetime(["2024-01-31", "2024-02-01"])}),
        "q": pd.Series([1, 2]),
        "u": np.array(["a", "b"]),
        "w": np.array(["2024-01-31"], "M8[D]"),
        np.int64(5): b"hi",
        True: None,
    }
    assert json.loads(output(Any).encode_json(value)) == {
        "f": 0.5, "i": [2, 3], "b": True, "s": "x", "a": [[1, 2]], "nan": [None, None, [None, 1.0]],
        "t": [1.5], "e": ["red", [1]], "m": {"theScore": 1.0}, "l": {"array": [7]},
        "p": {"at": [1], "when": "2024-01-31"},
        "d": [{"a": 1.0, "b": "2024-01-31T00:00:00"}, {"a": None, "b": "2024-02-01T00:00:00"}],
        "q": [1, 2], "u": ["a", "b"], "w": ["2024-01-31"], "5": "aGk=", "true": None,
    }  # fmt: skip


def test_arrays_are_held_to_their_hint() -> None:
    compiled = output(Float32[np.ndarray, "n 2"])
    assert compiled.encode_json(np.array([[1, 2]])) == b"[[1.0,2.0]]"
    assert compiled.encode_json(torch.ones(1, 2)) == b"[[1.0,1.0]]"
    assert compiled.encode_json([[1, 2]]) == b"[[1,2]]"
    assert output(Float32[np.ndarray, ""]).encode_json(np.float32(2)) == b"2.0"
    for wrong in (
        np.ones(2),
        np.ones((1, 3)),
        np.array([[1e39, 1]]),
        np.array([["a", "b"]]),
        np.ones((1, 2), bool),
    ):
        for encode in (
            compiled.encode_json,
            compiled.encoder("application/x-npy"),
            compiled.encoder("application/msgpack"),
        ):
            with pytest.raises(InferenceError, match="returned a ndarray that cannot be sent"):
                encode(wrong)


def test_msgpack_arrays_are_compact() -> None:
    encode = output(Float32[np.ndarray, "n"]).encoder("application/msgpack")
    assert encode.media_type == "application/msgpack"
    compact = msgspec.msgpack.decode(encode(np.array([1, 2], ">f4")))
    assert compact == {"dtype": "float32", "shape": [2], "data": np.array([1, 2], "<f4").tobytes()}
    nested = output(Any).encoder("application/msgpack")
    value = {"a": [np.int64(1)], "t": torch.zeros(0), "f": File(b"x", name="n"), "i": Image.new("L", (1, 1))}
    plain = msgspec.msgpack.decode(nested(value))
    assert plain["a"] == [1]
    assert plain["t"] == {"dtype": "float32", "shape": [0], "data": b""}
    assert plain["f"] == {"name": "n", "media_type": "application/octet-stream", "data": b"x"}
    assert plain["i"].startswith(b"\x89PNG")


def test_npy_is_what_numpy_reads() -> None:
    encode = output(Int64[np.ndarray, "n m"]).encoder("application/x-npy")
    for value in (np.asfortranarray([[1, 2], [3, 4]]), torch.tensor([[1, 2], [3, 4]]), [[1, 2], [3, 4]]):
        got = np.load(io.BytesIO(encode(value)), allow_pickle=False)
        assert (got.tolist(), got.dtype) == ([[1, 2], [3, 4]], np.int64)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/x-npy", "application/x-npy"),
        ("application/npy", "application/x-npy"),
        ("application/x-npy;q=0.5, application/json", "application/json"),
        ("application/json;q=0.5, application/*", "application/msgpack"),
        ("text/html, */*;q=0.1", "application/json"),
        ("*/*;q=0.1, application/msgpack;q=0.2", "application/msgpack"),
        ("application/json;q=0, */*", "application/msgpack"),
        ('text/html;x="a,b;c", APPLICATION/X-NPY', "application/x-npy"),
        ("application/x-npy;q=zzz, */*", "application/json"),
    ],
)
def test_accept_chooses(accept: str, expected: str) -> None:
    compiled = output(Float32[np.ndarray, "n"])
    assert compiled.encoder(accept).media_type == expected
    assert compiled.encoder(accept) is compiled.encoder(accept)


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "nonsense", ","])
def test_what_cannot_be_given_is_406(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="application/json"):
        output(list[str]).encoder(accept)


def test_many_different_accepts_do_not_grow_the_cache() -> None:
    compiled = output(str)
    for number in range(1000):
        assert compiled.encoder(f"text/plain;q=0.{number + 1}").media_type.startswith("text/plain")
    assert len(compiled._encoders) <= 256


def test_text_prefers_json() -> None:
    compiled = output(str)
    assert compiled.encoder("*/*")("é") == '"é"'.encode()
    assert compiled.encoder("text/plain, */*;q=0.5")("é") == "é".encode()
    with pytest.raises(InferenceError):
        compiled.encoder("text/plain")(3)


def test_images() -> None:
    compiled = output(Image.Image)
    picture = Image.new("RGBA", (2, 3), (1, 2, 3, 4))
    for accept, media in [("*/*", "image/png"), ("image/jpeg", "image/jpeg"), ("image/*;q=0.3", "image/png")]:
        encode = compiled.encoder(accept)
        assert encode.media_type == media
        assert Image.open(io.BytesIO(encode(picture))).size == (2, 3)
    assert json.loads(compiled.encoder("application/json")(picture)).startswith("iVBOR")
    with pytest.raises(InferenceError, match="expected an image"):
        compiled.encoder("*/*")("no")


def test_bytes_and_files() -> None:
    compiled = output(bytes)
    assert compiled.encoder("*/*").media_type == "application/octet-stream"
    for value in (b"hi", bytearray(b"hi"), memoryview(b"hi")):
        assert bytes(compiled.encoder("*/*")(value)) == b"hi"
    assert compiled.encoder("application/json")(b"hi") == b'"aGk="'
    with pytest.raises(InferenceError, match="expected bytes"):
        compiled.encoder("*/*")(3)

    files = output(File)
    file = File(b"hi", name='grüße "1".txt', media_type="text/plain")
    for accept in ("*/*", "", "text/plain"):
        encode = files.encoder(accept)
        assert encode.media_type_of(file) == "text/plain"
        assert encode(file) == b"hi"
    assert files.encoder("application/json").media_type_of(file) == "application/json"
    header = files.extra_headers(file)["content-disposition"]
    assert header == "attachment; filename=\"gr__e _1_.txt\"; filename*=UTF-8''gr%C3%BC%C3%9Fe%20%221%22.txt"
    assert files.extra_headers(File(b"")) == {}


def test_a_file_cannot_write_headers() -> None:
    file = File(b"", name="a\r\nset-cookie: x", media_type="text/plain\r\nset-cookie: x")
    compiled = output(File)
    assert compiled.encoder("*/*").media_type_of(file) == "application/octet-stream"
    assert all(text.isprintable() for text in compiled.extra_headers(file).values())


@pytest.mark.parametrize(
    ("hint", "accept", "value", "media_type"),
    [
        (File | None, "", File(b"x", media_type="a/b"), "a/b"),
        (bytes | None, "", b"x", "application/octet-stream"),
        (Image.Image | None, "image/jpeg", Image.new("L", (1, 1)), "image/jpeg"),
        (str | None, "text/plain", "x", "text/plain; charset=utf-8"),
        (pd.DataFrame | None, "text/csv", pd.DataFrame({"a": [1]}), "text/csv; charset=utf-8"),
        (np.ndarray | None, "application/x-npy", np.zeros(1), "application/x-npy"),
        (bytes | None, "application/json", b"x", "application/json"),
    ],
)
def test_none_is_null_in_json_whatever_was_asked(hint: Any, accept: str, value: Any, media_type: str) -> None:
    encode = output(hint).encoder(accept)
    assert encode.media_type_of(None) == "application/json"
    assert encode(None) == b"null"
    assert encode.media_type_of(value) == media_type
    assert encode(value) != b"null"


def test_none_where_the_hint_has_none_is_an_error() -> None:
    for hint in (bytes, File, Image.Image):
        with pytest.raises(InferenceError, match="returned a NoneType"):
            output(hint).encoder("")(None)


def test_tables() -> None:
    compiled = output(pd.DataFrame)
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert compiled.encode_json(frame) == b'[{"a":1,"b":"x"},{"a":2,"b":null}]'
    assert compiled.encoder("text/csv")(frame) == b"a,b\n1,x\n2,\n"


class Broken:
    @property
    def __array__(self) -> Any:
        raise ZeroDivisionError("deep inside")


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value", [object(), Broken(), 1j, np.complex64(1), np.array([1j]), "\ud800", circular()]
)
def test_what_has_no_form_says_so(value: Any) -> None:
    for accept in ("application/json", "application/msgpack"):
        if accept.endswith("msgpack") and isinstance(value, np.ndarray):
            continue
        with pytest.raises(InferenceError, match="call returned a"):
            output(Any).encoder(accept)(value)


def test_errors_name_the_api_and_no_file_of_the_server() -> None:
    with pytest.raises(InferenceError) as caught:
        output(Any).encode_json(object())
    assert "call returned a object" in caught.value.message
    assert "Test.call" not in caught.value.message  # what `where` said


def test_streams() -> None:
    async def items() -> AsyncIterator[list[str]]:
        yield ["a"]

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"

    json_stream = Output.of(items, where="test")
    assert json_stream.stream
    encode = json_stream.encoder("*/*")
    assert (encode.media_type, encode(["a"])) == ("text/event-stream", b'["a"]')
    byte_stream = Output.of(chunks, where="test").encoder("*/*")
    assert (byte_stream.media_type, byte_stream(b"a")) == ("application/octet-stream", b"a")


def test_streams_that_cannot_work() -> None:
    async def no_hint() -> list[str]:  # type: ignore[misc]
        yield ["a"]

    async def no_yield() -> AsyncIterator[str]: ...

    def unhinted(): ...  # type: ignore[no-untyped-def]

    for wrong in (no_hint, no_yield, unhinted):
        with pytest.raises(ServiceDefinitionError, match="here"):
            Output.of(wrong, where="here")
    with pytest.raises(ServiceDefinitionError, match="complex"):
        output(complex)


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (None, "json"),
        (int, "number"),
        (np.float32, "number"),
        (bool, "boolean"),
        (str, "text"),
        (list[str], "json"),
        (bytes, "bytes"),
        (File, "file"),
        (Image.Image, "image"),
        (pd.DataFrame, "dataframe"),
        (np.ndarray, "array"),
        (torch.Tensor, "tensor"),
        (UInt8[torch.Tensor, "n"], "tensor"),
        (Float32[np.ndarray, "n"] | None, "array"),
    ],
)
def test_specs_name_the_kind(hint: Any, kind: str) -> None:
    compiled = output(hint)
    assert compiled.spec.kind == kind
    assert isinstance(compiled.json_schema({}), dict)
    call: Callable[[Any], bytes] = compiled.encode_json
    assert call(None) == b"null"


@pytest.mark.parametrize("count", [3, 40_000])
@pytest.mark.parametrize(
    "laid_out",
    [
        lambda array: array,
        lambda array: array[::2],
        lambda array: array.reshape(-1, 2).T,
        lambda array: array.astype(">f4"),
        lambda array: array.astype("M8[s]"),
        lambda array: array.astype("U9"),
        lambda array: array[0],
    ],
)
def test_binary_arrays_go_out_as_they_are_read(count: int, laid_out: Any) -> None:
    array = np.asarray(laid_out(np.arange(2 * count, dtype="f4")))
    np.testing.assert_array_equal(read(write(array)), array)
    np.testing.assert_array_equal(np.load(io.BytesIO(write(array))), array)
    sent = msgspec.msgpack.decode(msgpack_bytes(array))
    back = np.frombuffer(sent["data"], np.dtype(sent["dtype"]).newbyteorder("<")).reshape(sent["shape"])
    np.testing.assert_array_equal(back, array)
