"""Whatever comes in: a value, or one of the request errors. Never anything else."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jaxtyping import Float32, Int, Num, UInt8
from PIL import Image

from tiffin.errors import RequestError
from tiffin.runtime.schema.file import File
from tiffin.runtime.schema.inputs import Inputs
from tiffin.runtime.schema.media import choose, content_type
from tiffin.runtime.schema.npy import read, write

SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclasses.dataclass
class Box:
    corners: Float32[np.ndarray, "n 2"]
    label: str | None = None


def arrays(
    x: Float32[np.ndarray, "n 2"], y: UInt8[np.ndarray, "n"] | None = None, z: np.ndarray | None = None
) -> None: ...
def nested(x: dict[str, list[Box]], y: Any = None, n: int = 0) -> None: ...
def open_shape(x: Num[np.ndarray, "..."], y: Int[np.ndarray, "*b 2"] | None = None) -> None: ...
def one(x: np.ndarray) -> None: ...
def table(x: pd.DataFrame, f: float = 0) -> None: ...
def files(x: list[File], y: bytes = b"", z: Image.Image | None = None) -> None: ...
def text(x: str) -> None: ...


ROUTES = [
    Inputs.of(function, where="fuzz") for function in (arrays, nested, open_shape, one, table, files, text)
]
MEDIA = [
    "application/json", "application/msgpack", "application/x-npy", "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b", "text/plain", "text/csv", "image/png", "application/octet-stream", "",
]  # fmt: skip

numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none())
leaves = st.one_of(numbers, st.text(max_size=5), st.integers(-300, 300))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["x", "y", "corners", "label", "data", "shape", "dtype"]), inner, max_size=3
        ),
    ),
    max_leaves=12,
)
bodies = st.one_of(values, st.dictionaries(st.sampled_from(["x", "y", "z", "n", "f"]), values, max_size=3))


def try_it(call: Any) -> Any:
    try:
        return call()
    except RequestError as error:
        assert error.status in (400, 415, 422)
        assert error.message
        assert isinstance(error.path, str)
        return None


@SETTINGS
@given(
    route=st.sampled_from(ROUTES),
    media=st.sampled_from(MEDIA),
    body=st.binary(max_size=200),
    query=st.text(max_size=20),
)
def test_any_bytes(route: Inputs, media: str, body: bytes, query: str) -> None:
    try_it(lambda: route.decode_json(body))
    try_it(lambda: route.decode(media, body))
    try_it(lambda: route.decode(media, body, query))


@SETTINGS
@given(route=st.sampled_from(ROUTES), body=bodies)
def test_any_json_and_msgpack(route: Inputs, body: Any) -> None:
    encoded = json.dumps(body).encode()
    decoded = try_it(lambda: route.decode_json(encoded))
    if decoded is not None:
        assert tuple(decoded) == route.names
    again = try_it(lambda: route.decode("application/json", encoded, "n=1" if "n" in route.names else ""))
    if "n" not in route.names:
        assert (again is None) == (decoded is None)
    try:
        packed = msgspec.msgpack.encode(body)
    except OverflowError:
        return
    try_it(lambda: route.decode("application/msgpack", packed))


@SETTINGS
@given(body=bodies, cut=st.integers(0, 60), flip=st.integers(0, 255), media=st.sampled_from(MEDIA[:2]))
def test_damaged_bodies(body: Any, cut: int, flip: int, media: str) -> None:
    packer = msgspec.json.encode if media.endswith("json") else msgspec.msgpack.encode
    try:
        raw = bytearray(packer({"x": body}))
    except OverflowError:
        return
    at = cut % len(raw)
    raw[at] = flip
    for route in ROUTES:
        try_it(lambda route=route: route.decode(media, raw))
        try_it(lambda route=route: route.decode(media, raw[:at]))


@SETTINGS
@given(
    hnp.arrays(
        st.sampled_from(["<f4", ">f8", "|u1", "<i8", ">i2", "|b1", "<U3", "<c8"]),
        hnp.array_shapes(min_dims=0),
    )
)
def test_npy_goes_there_and_back(array: np.ndarray[Any, Any]) -> None:
    back = read(write(np.asfortranarray(array) if array.ndim else array))
    assert back.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(back, array)


@SETTINGS
@given(st.data())
def test_damaged_npy(data: st.DataObject) -> None:
    raw = bytearray(write(np.arange(6, dtype="f4").reshape(2, 3)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for route in ROUTES:
        try_it(lambda route=route: route.decode("application/x-npy", bytes(raw)))


part = st.tuples(
    st.sampled_from(["x", "y", "z", "q"]),
    st.sampled_from(["", "f.bin"]),
    st.sampled_from(["", *MEDIA]),
    st.binary(max_size=30),
)


@SETTINGS
@given(route=st.sampled_from(ROUTES), parts=st.lists(part, max_size=4), cut=st.integers(0, 40))
def test_any_multipart(route: Inputs, parts: list[tuple[str, str, str, bytes]], cut: int) -> None:
    body = b""
    for name, filename, media, content in parts:
        file = f'; filename="{filename}"' if filename else ""
        kind = f"Content-Type: {media}\r\n" if media else ""
        body += (
            f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{kind}\r\n'.encode()
            + content
            + b"\r\n"
        )
    body += b"--b--\r\n"
    try_it(lambda: route.decode("multipart/form-data; boundary=b", body))
    try_it(lambda: route.decode("multipart/form-data; boundary=b", body[: len(body) - cut]))


@SETTINGS
@given(st.text(alphabet='abc/*;,="\\q0.19 +-', max_size=40))
def test_any_header(header: str) -> None:
    assert isinstance(content_type(header)[0], str)
    try_it_accept(header)


def try_it_accept(header: str) -> None:
    try:
        assert choose(header, ("application/json", "a/b")) in ("application/json", "a/b")
    except RequestError as error:
        assert error.status == 406


@SETTINGS
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 5), st.just(2)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_float32_survives_json(array: np.ndarray[Any, Any]) -> None:
    body = json.dumps({"x": array.tolist()}).encode()
    np.testing.assert_array_equal(ROUTES[0].decode_json(body)["x"], array)
