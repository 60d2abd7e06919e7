"""Answers → results: arrays as numpy, files as `tiffin.File`, records as dicts."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import msgspec
import numpy as np

from ...errors import ServingError
from ..schema import media, npy
from ..schema.dtypes import storage
from ..schema.file import File

_COMPACT = frozenset({"dtype", "shape", "data"})
_FILE = frozenset({"name", "media_type", "data"})
_MARKS = (b"\xa5dtype", b"\xaamedia_type")
"""In msgpack: keys by which arrays and files are known. Without either nothing needs to be looked through."""


def result(media_type: str, body: bytes | bytearray, output: Mapping[str, Any]) -> Any:
    """A body → the result.

    Args:
        media_type: of the body.
        body: whole; one item of a stream.
        output: what `x-tiffin` says of the result.

    Raises:
        ServingError: the body is not what its media type says.
    """
    kind = media_type.partition(";")[0].strip().lower()
    try:
        if kind == media.NPY:
            return npy.view(body) if isinstance(body, bytearray) else npy.read(body)
        if kind == media.MSGPACK:
            value = msgspec.msgpack.decode(body)
            return _shaped(_raised(value) if any(mark in body for mark in _MARKS) else value, output)
        if kind == media.JSON:
            return _shaped(msgspec.json.decode(body), output)
        if kind == media.TEXT:
            return bytes(body).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise ServingError(f"the server's {kind} cannot be read: {error}") from error
    return File(bytes(body), media_type=kind) if output["kind"] == "file" else bytes(body)


def _raised(value: Any) -> Any:
    """Arrays and files for the maps that stand for them in msgpack, wherever they are."""
    if type(value) is list:
        return [_raised(each) for each in value]
    if type(value) is not dict:
        return value
    if value.keys() == _COMPACT and isinstance(value["data"], bytes):
        return _array(value["dtype"], value["shape"], value["data"])
    if value.keys() == _FILE and isinstance(value["data"], bytes):
        return File(value["data"], name=value["name"], media_type=value["media_type"])
    return {key: _raised(each) for key, each in value.items()}


def _array(dtype: str, shape: list[int], data: bytes) -> np.ndarray[Any, Any]:
    """Writable, of its own memory."""
    kind = np.dtype(dtype)
    if kind.hasobject or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"an array of {dtype} {shape} in {len(data)} bytes")
    return np.frombuffer(bytearray(data), kind).reshape(shape)


def _shaped(value: Any, output: Mapping[str, Any]) -> Any:
    """The form that the kind of the whole result has here."""
    kind = output["kind"]
    if value is None:
        return None
    if kind in ("array", "tensor"):
        return value if isinstance(value, np.ndarray) else _from_lists(value, output.get("dtype", ""))
    if kind == "file" and isinstance(value, dict):
        return File(base64.b64decode(value["data"]), name=value["name"], media_type=value["media_type"])
    if kind in ("bytes", "image"):
        data = base64.b64decode(value) if isinstance(value, str) else value
        return data if kind == "bytes" else _image(data)
    return _frame(value) if kind == "dataframe" else value


def _from_lists(value: Any, dtype: str) -> np.ndarray[Any, Any]:
    """JSON's null is NaN where the numbers may be that."""
    return np.asarray(value, dtype=storage(dtype) if dtype else None)


def _image(data: bytes) -> Any:
    if find_spec("PIL") is None:
        return data
    from PIL import Image

    image = Image.open(BytesIO(data))
    image.load()
    return image


def _frame(records: Any) -> Any:
    if find_spec("pandas") is None:
        return records
    import pandas as pd

    return pd.DataFrame(records)
