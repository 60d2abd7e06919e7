"""Every media type but JSON: npy, msgpack, forms, raw bodies and queries."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from jaxtyping import Float32, Float64, Int64, UInt8
from PIL import Image

from tiffin.errors import InvalidInputError, MalformedInputError, RequestError, UnsupportedMediaTypeError
from tiffin.runtime.schema.file import File
from tiffin.runtime.schema.inputs import Inputs
from tiffin.runtime.schema.numbers import LARGE_BYTES

NPY = "application/x-npy"


def flowers(x: Float32[np.ndarray, "n 4"], top: int = 1, name: str = "a") -> None: ...


FLOWERS = Inputs.of(flowers, where="test")


def npy(array: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, **options)
    return out.getvalue()


def refused(compiled: Inputs, media: str, body: bytes, query: str = "") -> RequestError:
    with pytest.raises(RequestError) as caught:
        compiled.decode(media, body, query)
    return caught.value


# npy


@pytest.mark.parametrize(
    "array",
    [
        np.arange(8, dtype="<f4").reshape(2, 4),
        np.arange(8, dtype=">f4").reshape(2, 4),
        np.asfortranarray(np.arange(8, dtype="<f4").reshape(2, 4)),
        np.arange(8, dtype="<f8").reshape(2, 4),
        np.arange(8, dtype="<i8").reshape(2, 4),
        np.arange(8, dtype="u1").reshape(2, 4),
        np.array([[1, np.nan, np.inf, 2]], "<f8"),
        np.zeros((0, 4), "<f4"),
        np.zeros(0, "<f4"),
    ],
)
def test_npy_becomes_native_c_order_float32(array: np.ndarray[Any, Any]) -> None:
    values = FLOWERS.decode(NPY, npy(array))
    got = values["x"]
    assert got.dtype == np.dtype("float32")
    assert got.dtype.isnative
    assert got.flags.c_contiguous
    assert got.flags.writeable
    np.testing.assert_array_equal(got, array.astype("f4").reshape(-1, 4))
    assert values["top"] == 1


def test_npy_versions_and_queries() -> None:
    body = npy(np.ones((1, 4), "f4"), version=(2, 0))
    assert FLOWERS.decode(NPY, body, "top=7&name=b%20c") == {
        "x": pytest.approx(np.ones((1, 4))),
        "top": 7,
        "name": "b c",
    }


@pytest.mark.parametrize(
    ("array", "where"),
    [
        (np.array([[1.0, 2, 3, 1e39]]), "$.x[0][3]"),
        (np.ones((1, 3), "f4"), "$.x"),
        (np.ones((1, 4), bool), "$.x"),
        (np.ones((1, 4), "c8"), "$.x"),
        (np.array([["a"] * 4]), "$.x"),
        (np.ones((1, 4), "M8[s]"), "$.x"),
    ],
)
def test_npy_that_does_not_fit_is_invalid(array: np.ndarray[Any, Any], where: str) -> None:
    error = refused(FLOWERS, NPY, npy(array))
    assert isinstance(error, InvalidInputError)
    assert error.path == where


def test_npy_integers_out_of_range() -> None:
    def call(x: UInt8[np.ndarray, "n"], y: int = 0) -> None: ...

    compiled = Inputs.of(call, where="test")
    assert compiled.decode(NPY, npy(np.array([1, 255])))["x"].dtype == np.uint8
    error = refused(compiled, NPY, npy(np.array([1, 255, 256])))
    assert (error.path, "256" in error.message) == ("$.x[2]", True)
    assert refused(compiled, NPY, npy(np.array([1.0]))).status == 422

    def wide(x: Int64[np.ndarray, "n"]) -> None: ...

    assert refused(Inputs.of(wide, where="t"), NPY, npy(np.array([2**63], "u8"))).path == "$.x[0]"


def header(text: str, data: bytes = b"", version: int = 1) -> bytes:
    raw = text.encode("latin-1")
    size = struct.pack("<H" if version == 1 else "<I", len(raw))
    return b"\x93NUMPY" + bytes([version, 0]) + size + raw + data


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04",
        header(GOOD)[:-10],
        header(GOOD, b"\0" * 15),
        header(GOOD, b"\0" * 17),
        header(GOOD, b"\0" * 16, version=3),
        header(GOOD.replace("(1, 4)", "(1000000000000, 1000000000000)"), b"\0" * 16),
        header(GOOD.replace("(1, 4)", "(0, 99999999999999999999999)")),
        header(GOOD.replace("(1, 4)", "(-1, -4)"), b"\0" * 16),
        header(GOOD.replace("(1, 4)", "(True, 4)"), b"\0" * 16),
        header(GOOD.replace("(1, 4)", "(" + "1," * 40 + ")"), b"\0" * 4),
        header(GOOD.replace("(1, 4)", "[1, 4]"), b"\0" * 16),
        header(GOOD.replace("'<f4'", "'|O'"), b"\0" * 16),
        header(GOOD.replace("'<f4'", "[('a', '<f4')]"), b"\0" * 16),
        header(GOOD.replace("'<f4'", "'U0'"), b""),
        header(GOOD.replace("'<f4'", "'<U1'"), b"\xff\xff\xff\xff" * 4),
        header(GOOD.replace("'<f4'", "'|b1'"), b"\2" * 4),
        header("(" * 4000),
        header("__import__('os').getcwd()"),
        header(GOOD + " " * 5000, b"\0" * 16),
        header(GOOD, version=2)[:9],
        npy(np.array([None, {}]), allow_pickle=True),
    ],
)
def test_hostile_npy_is_malformed(body: bytes) -> None:
    assert isinstance(refused(FLOWERS, NPY, body), MalformedInputError)

    def anything(x: np.ndarray) -> None: ...

    assert isinstance(refused(Inputs.of(anything, where="test"), NPY, body), MalformedInputError)


def test_bare_arrays_keep_what_npy_says() -> None:
    def anything(x: np.ndarray) -> None: ...

    compiled = Inputs.of(anything, where="test")
    for array in (np.array(["a", "bc"]), np.array([1, 2], ">i2"), np.array([1j]), np.array(3.0)):
        got = compiled.decode(NPY, npy(array))["x"]
        assert got.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(got, array)


# msgpack


def packed(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


def test_msgpack_takes_lists_and_compact_arrays() -> None:
    data = np.arange(4, dtype="<f4")
    for x in ([[0, 1, 2, 3]], {"dtype": "float32", "shape": [1, 4], "data": data.tobytes()},
              {"dtype": ">i2", "shape": [1, 4], "data": data.astype(">i2").tobytes()}):  # fmt: skip
        for media in ("application/msgpack", "application/x-msgpack"):
            values = FLOWERS.decode(media, packed({"x": x, "top": 2}))
            assert values["x"].tolist() == [[0, 1, 2, 3]]
            assert values["x"].dtype == np.float32
            assert values["top"] == 2
    assert FLOWERS.decode("application/msgpack", packed({"x": []}), "top=5")["top"] == 5


@pytest.mark.parametrize(
    ("x", "path"),
    [
        ([[0, 1, 2, "3"]], "$.x[0][3]"),
        ([[0, 1, 2, float("nan")]], "$.x[0][3]"),
        ({"dtype": "float32", "shape": [1, 4]}, "$.x"),
        ({"dtype": "object", "shape": [1, 4], "data": b""}, "$.x.dtype"),
        ({"dtype": "", "shape": [1, 4], "data": b""}, "$.x.dtype"),
        ({"dtype": 3, "shape": [1, 4], "data": b""}, "$.x.dtype"),
        ({"dtype": "float32", "shape": [1, -4], "data": b""}, "$.x.shape"),
        ({"dtype": "float32", "shape": [1] * 99, "data": b"1234"}, "$.x.shape"),
        ({"dtype": "float32", "shape": [2**60, 2**60], "data": b"1234"}, "$.x.data"),
        ({"dtype": "float32", "shape": [1, 4], "data": "x"}, "$.x.data"),
        ({"dtype": "bool", "shape": [1, 4], "data": b"\0\1\0\1"}, "$.x"),
    ],
)
def test_msgpack_that_does_not_fit(x: Any, path: str) -> None:
    error = refused(FLOWERS, "application/msgpack", packed({"x": x}))
    assert isinstance(error, InvalidInputError)
    assert error.path == path


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", packed({"x": []})[:-1], packed({"x": []}) + b"1", b"\x91" * 100_000]
)
def test_msgpack_that_is_none(body: bytes) -> None:
    assert isinstance(refused(FLOWERS, "application/msgpack", body), MalformedInputError)


# forms and queries


def multipart(*parts: tuple[str, str, str, bytes]) -> tuple[str, bytes]:
    out = b""
    for name, filename, media, content in parts:
        file = f'; filename="{filename}"' if filename else ""
        kind = f"Content-Type: {media}\r\n" if media else ""
        out += (
            f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{kind}\r\n'.encode()
            + content
            + b"\r\n"
        )
    return "multipart/form-data; boundary=b", out + b"--b--\r\n"


def png(color: int = 7) -> bytes:
    out = io.BytesIO()
    Image.new("L", (2, 3), color).save(out, "PNG")
    return out.getvalue()


def mixed(
    image: Image.Image,
    files: list[File],
    table: pd.DataFrame,
    x: Float64[np.ndarray, "n"],
    label: str,
    weights: list[float],
    ratio: float = 0.5,
    raw: bytes = b"",
    many: list[Image.Image] | None = None,
) -> None: ...


MIXED = Inputs.of(mixed, where="test")


def test_multipart_takes_text_json_and_files() -> None:
    media, body = multipart(
        ("image", "a.png", "image/png", png()),
        ("files", "../../etc/one.txt", "text/plain", b"1"),
        ("files", "two.json", "application/json", b"{}"),
        ("table", "t.csv", "text/csv", b"a,b\n1,x\n2,y\n"),
        ("x", "", "", b"[1, 2.5]"),
        ("label", "", "", b"true \xc3\xa9"),
        ("weights", "", "", b"1"),
        ("weights", "", "", b"2.5"),
        ("ratio", "", "application/json", b"0.25"),
        ("raw", "", "", b"\xff\0"),
        ("many", "a", "image/png", png(1)),
        ("many", "b", "application/octet-stream", png(2)),
    )
    values = MIXED.decode(media, body)
    assert values["image"].size == (2, 3)
    assert values["files"] == [
        File(b"1", name="one.txt", media_type="text/plain"),
        File(b"{}", name="two.json", media_type="application/json"),
    ]
    assert values["files"][0].open().read() == b"1"
    assert values["table"].to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    assert values["x"].tolist() == [1, 2.5]
    assert values["label"] == "true é"
    assert values["weights"] == [1.0, 2.5]
    assert values["ratio"] == 0.25
    assert values["raw"] == b"\xff\0"
    assert [image.getpixel((0, 0)) for image in values["many"]] == [1, 2]


def test_multipart_takes_npy_parts() -> None:
    media, body = multipart(("x", "x.npy", NPY, npy(np.ones((2, 4)))), ("top", "", "", b"3"))
    assert FLOWERS.decode(media, body)["x"].shape == (2, 4)
    media, body = multipart(("x", "x.npy", "application/octet-stream", npy(np.ones((2, 4)))))
    assert FLOWERS.decode(media, body)["x"].shape == (2, 4)


@pytest.mark.parametrize(
    ("parts", "status", "path"),
    [
        ([("y", "", "", b"1")], 422, "$.y"),
        ([("x", "", "", b"[[1]]")], 422, "$.x"),
        ([("x", "", "", b"[[1,2,3,null]]")], 422, "$.x[0][3]"),
        ([("x", "", "", b"[[1")], 400, ""),
        ([("x", "", "", b"[" * 100_000)], 400, ""),
        ([("x", "a", NPY, b"zzz")], 400, "$.x"),
        ([("x", "", "", b"[]"), ("x", "", "", b"[]")], 422, "$.x"),
        ([("x", "", "", b"[]"), ("x", "x", NPY, npy(np.ones((1, 4))))], 422, "$.x"),
        ([("x", "", "", b"[]"), ("top", "", "", b"1.5")], 422, "$.top"),
        ([("x", "", "", b"[]"), ("top", "", "", b"9" * 5000)], 422, "$.top"),
        ([("x", "", "", b"[]"), ("top", "", "application/x-odd", b"1")], 422, "$.top"),
        ([("x", "", "", b"\xff\xfe")], 400, "$.x"),
        ([("top", "", "", b"1")], 422, "$.x"),
    ],
)
def test_multipart_that_does_not_fit(parts: list[Any], status: int, path: str) -> None:
    error = refused(FLOWERS, *multipart(*parts))
    assert (error.status, error.path) == (status, path), error


def test_broken_multipart() -> None:
    media, body = multipart(("x", "", "", b"[]"))
    for wrong_media, wrong in [
        (media, body[:-8]),
        (media, b"nothing"),
        (media, b""),
        ("multipart/form-data", body),
        ("multipart/form-data; boundary=", body),
        (media, body.replace(b"Content-Disposition", b"X")),
    ]:
        assert refused(FLOWERS, wrong_media, wrong).status == 400


def test_bad_images_and_tables_in_parts() -> None:
    media, body = multipart(("image", "a.png", "image/png", png()[:40]))
    error = refused(MIXED, media, body)
    assert (error.status, error.path) == (400, "$.image")
    media, body = multipart(("many", "a", "image/png", png()), ("many", "a", "image/png", b"no"))
    assert refused(MIXED, media, body).path == "$.many[1]"


def scalars(a: int, b: float = 1.0, c: list[str] | None = None, d: bool = False) -> None: ...


SCALARS = Inputs.of(scalars, where="test")
FORM = "application/x-www-form-urlencoded"


def test_forms_and_queries_fill_scalars() -> None:
    assert SCALARS.decode(FORM, b"a=1&b=2.5&c=x&c=y+z&d=true") == {
        "a": 1,
        "b": 2.5,
        "c": ["x", "y z"],
        "d": True,
    }
    assert SCALARS.decode("", b"", "a=1") == {"a": 1, "b": 1.0, "c": None, "d": False}
    assert SCALARS.decode("application/json", b'{"b": 3}', "a=1")["b"] == 3.0
    assert SCALARS.decode("application/json; charset=UTF-8", b'{"a": 3}')["a"] == 3


@pytest.mark.parametrize(
    ("body", "query", "path"),
    [
        (b"a=x", "", "$.a"),
        (b"a=1.5", "", "$.a"),
        (b"a=1&b=nan", "", "$.b"),
        (b"a=1&b=inf", "", "$.b"),
        (b"a=1&b=1e999", "", "$.b"),
        (b"a=1&a=2", "", "$.a"),
        (b"a=1&e=2", "", "$.e"),
        (b"b=1", "", "$.a"),
        (b"a=1", "a=2", "$.a"),
        (b"a=1&d=maybe", "", "$.d"),
    ],
)
def test_forms_that_do_not_fit(body: bytes, query: str, path: str) -> None:
    error = refused(SCALARS, FORM, body, query)
    assert (error.status, error.path) == (422, path)


def test_malformed_forms_and_queries() -> None:
    assert refused(SCALARS, FORM, b"a=%ff").status == 400
    assert refused(SCALARS, FORM, b"\xff").status == 400
    assert refused(SCALARS, FORM, b"&".join(b"c=1" for _ in range(2000))).status == 400
    assert refused(FLOWERS, "application/json", b'{"x": []}', "x=1").path == "$.x"


# raw bodies


def test_raw_bodies() -> None:
    def picture(image: Image.Image, top: int = 1) -> None: ...
    def octets(data: bytes) -> None: ...
    def upload(file: File) -> None: ...
    def words(text: str) -> None: ...
    def table(frame: pd.DataFrame) -> None: ...

    def of(function: Any) -> Inputs:
        return Inputs.of(function, where="test", namespace={"Image": Image})

    assert of(picture).decode("image/png", png(), "top=2")["top"] == 2
    assert of(octets).decode("application/octet-stream", b"\0\1") == {"data": b"\0\1"}
    assert of(upload).decode("audio/wav", b"R")["file"] == File(b"R", media_type="audio/wav")
    assert of(words).decode("text/plain; charset=iso-8859-1", b"\xe9") == {"text": "é"}
    assert of(table).decode("text/csv", b"a\n1\n")["frame"].to_dict("list") == {"a": [1]}
    assert refused(of(picture), "image/png", b"no").status == 400
    assert refused(of(words), "text/plain", b"\xff").status == 400
    assert refused(of(words), "text/plain; charset=utf-7", b"a").status == 415
    assert refused(of(table), "text/csv", b"").status == 400
    assert refused(of(table), "text/csv", b'a,b\n"').status == 400


def test_tables_of_too_many_columns_are_refused_before_they_are_read() -> None:
    def table(frame: pd.DataFrame) -> None: ...

    compiled = Inputs.of(table, where="test")
    wide = {str(at): [1] for at in range(50_001)}
    for media, body in (
        ("text/csv", b",".join([b"1"] * 50_001)),
        ("text/csv", b"a\n" + b",".join([b"1"] * 50_001)),  # pandas makes an index of what has no name
        ("application/json", json.dumps({"frame": wide}).encode()),
        ("application/json", json.dumps({"frame": [dict.fromkeys(wide, 1)]}).encode()),
    ):
        error = refused(compiled, media, body)
        assert (error.status, error.path) == (422, "$.frame"), media
        assert "50,001" in str(error)


def test_records_that_differ_in_many_fields_are_told_shortly() -> None:
    def table(frame: pd.DataFrame) -> None: ...

    records = [{}, {f"{at:05}{'x' * 200}": 1 for at in range(1000)}]
    error = refused(
        Inputs.of(table, where="test"), "application/json", json.dumps({"frame": records}).encode()
    )
    assert error.path == "$.frame[1]"
    assert str(error).startswith("expected the fields of the first record; differing: 00000xxx")
    assert "... and 990 more" in str(error)
    assert len(str(error)) < 1000


def test_unknown_media_types_name_the_known() -> None:
    error = refused(FLOWERS, "application/xml", b"<x/>")
    assert isinstance(error, UnsupportedMediaTypeError)
    assert NPY in error.message
    assert refused(FLOWERS, "application/json; charset=latin-1", b"{}").status == 415
    assert refused(FLOWERS, FORM, b"x=1").status == 415
    assert FLOWERS.media_types == ("application/json", "application/msgpack", "multipart/form-data", NPY)


def test_json_forms_of_binary_kinds() -> None:
    import base64

    text = base64.b64encode(png()).decode()
    body = {
        "image": text,
        "files": [{"data": "aGk=", "name": "a"}, "aGk="],
        "table": [{"a": 1, "b": None}],
        "x": [],
        "label": "l",
        "weights": [],
        "raw": "aGk=",
    }
    values = MIXED.decode_json(json.dumps(body).encode())
    assert values["image"].size == (2, 3)
    assert [file.data for file in values["files"]] == [b"hi", b"hi"]
    assert values["raw"] == b"hi"
    assert values["table"].shape == (1, 2)
    assert MIXED.decode_json(json.dumps(body | {"table": {"a": [1, 2]}}).encode())["table"].shape == (2, 1)
    for field, wrong, path in [
        ("image", "AAAA", "$.image"),
        ("image", "?", "$.image"),
        ("files", [{"name": "a"}], "$.files[0]"),
        ("files", [{"data": 1}], "$.files[0].data"),
        ("raw", 3, "$.raw"),
        ("table", [{"a": 1}, {"b": 1}], "$.table[1]"),
        ("table", [{"a": [1]}], "$.table[0].a"),
        ("table", {"a": [1], "b": [1, 2]}, "$.table.b"),
        ("table", {"a": 1}, "$.table.a"),
        ("table", 3, "$.table"),
        ("table", [3], "$.table[0]"),
    ]:
        with pytest.raises(InvalidInputError) as caught:
            MIXED.decode_json(json.dumps(body | {field: wrong}).encode())
        assert caught.value.path == path


def test_a_mutable_default_is_fresh_in_every_call() -> None:
    def call(self: object, x: int, names: list[str] = [], a: Any = {"k": [1]}) -> None: ...  # noqa: B006

    compiled = Inputs.of(call, where="test")
    for body, query in ((b'{"x": 1}', ""), (b"", "x=1")):
        first, second = (compiled.decode("application/json", body, query) for _ in range(2))
        first["names"].append("left behind")
        first["a"]["k"].append(2)
        assert (second["names"], second["a"]) == ([], {"k": [1]})
        assert compiled.decode("application/json", body, query)["names"] == []


def test_what_curl_and_fetch_send_by_default_is_explained() -> None:
    def call(self: object, x: list[list[float]]) -> None: ...

    compiled = Inputs.of(call, where="test")
    with pytest.raises(UnsupportedMediaTypeError, match="-H 'content-type: application/json'"):
        compiled.decode("application/x-www-form-urlencoded", b'{"x": [[1]]}')
    with pytest.raises(UnsupportedMediaTypeError, match="fetch says so of a string unless told headers"):
        compiled.decode("text/plain;charset=UTF-8", b'{"x": [[1]]}')
    with pytest.raises(MalformedInputError, match="the body is empty; send a JSON object with `x`"):
        compiled.decode("application/json", b"")


@dataclasses.dataclass
class Point:
    x: float


def test_what_is_heavy_depends_on_the_hints() -> None:
    def numbers(x: Float32[np.ndarray, "n 4"], k: int = 1) -> None: ...
    def picture(x: Float32[np.ndarray, "n 4"], y: Image.Image) -> None: ...
    def pictures(x: list[Image.Image]) -> None: ...
    def table(x: pd.DataFrame) -> None: ...
    def nothing() -> None: ...

    def classes(x: list[Point]) -> None: ...

    functions = (nothing, numbers, classes, picture, pictures, table)
    sizes = [Inputs.of(function, where="test").heavy_bytes for function in functions]
    assert sizes[0] > 2**40
    assert sizes[1] == LARGE_BYTES  # bodies that come in a thread are read by a parser of their own
    assert 0 < sizes[2] < sizes[1]
    assert sizes[3:] == [0, 0, 0]  # few bytes may be many pixels
