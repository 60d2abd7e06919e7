"""Results → JSON and msgpack, with numpy, torch, pandas, Pillow and pydantic values anywhere inside.

JSON has no NaN and no infinity: both become null. Arrays are nested lists in JSON and
`{"dtype", "shape", "data"}` (little-endian, C order) in msgpack.
"""

from __future__ import annotations

import base64
import sys
import time
from typing import Any

import msgspec
import numpy as np

from .array import compact
from .dataframe import to_records
from .file import File
from .image import encode as encode_image
from .image import to_text
from .pydantic_model import to_plain as model_to_plain
from .tensor import is_tensor, to_numpy


def lists(array: np.ndarray[Any, Any]) -> Any:
    """Nested lists of Python values."""
    kind = array.dtype.kind
    if kind in "Mm":
        return array.astype(str).tolist()
    if kind == "c":
        raise TypeError("complex numbers have no JSON form; return the real and imaginary parts")
    return array.tolist()


def _json_hook(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return lists(value)
    if isinstance(value, np.generic):
        return _scalar(value)
    if is_tensor(value):
        return lists(to_numpy(value))
    if isinstance(value, File):
        data = base64.b64encode(value.data).decode()
        return {"name": value.name, "media_type": value.media_type, "data": data}
    if _is(value, "PIL.Image", "Image"):
        return to_text(value)
    return _any_hook(value)


def _msgpack_hook(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.hasobject else compact(value)
    if isinstance(value, np.generic):
        return _scalar(value)
    if is_tensor(value):
        return compact(to_numpy(value))
    if isinstance(value, File):
        return {"name": value.name, "media_type": value.media_type, "data": value.data}
    if _is(value, "PIL.Image", "Image"):
        return encode_image(value, "image/png")
    return _any_hook(value)


def _any_hook(value: Any) -> Any:
    """What both formats write the same way."""
    if _is(value, "pandas", "DataFrame"):
        return to_records(value)
    if _is(value, "pandas", "Series") or _is(value, "pandas", "Index"):
        return value.tolist()
    if hasattr(value, "__pydantic_serializer__") and hasattr(value, "model_dump"):
        return model_to_plain(value)
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()  # only keys of maps come here
    if hasattr(value, "__array__"):
        return np.asarray(value)
    raise TypeError(f"a {type(value).__name__} has no form in JSON or msgpack")


def _scalar(value: np.generic[Any]) -> Any:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return str(value)
    if isinstance(value, np.complexfloating):
        raise TypeError("complex numbers have no JSON form; return the real and imaginary parts")
    return value.item()


def _is(value: Any, module: str, name: str) -> bool:
    """Whether it is an instance of a class of a package that has been imported."""
    loaded = sys.modules.get(module)
    cls = getattr(loaded, name, None)
    return cls is not None and isinstance(value, cls)


_JSON = msgspec.json.Encoder(enc_hook=_json_hook)
_MSGPACK = msgspec.msgpack.Encoder(enc_hook=_msgpack_hook)

json_bytes = _JSON.encode
msgpack_bytes = _MSGPACK.encode

PIECE_BYTES = 64 * 1024
"""Of the array; a millisecond each, or a few."""


def array_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """The JSON of an array; of a large one in pieces, with other threads let run in between.

    Raises:
        TypeError: numbers that JSON does not have.
    """
    if array.nbytes <= PIECE_BYTES or not array.ndim:
        return json_bytes(lists(array))
    step = PIECE_BYTES // (array.nbytes // len(array))
    if not step:
        return b"[%b]" % b",".join([array_bytes(row) for row in array])
    parts = []
    for start in range(0, len(array), step):
        parts.append(json_bytes(lists(array[start : start + step]))[1:-1])
        time.sleep(0)  # lets go of the interpreter lock, which the encoder holds to its end
    return b"[%b]" % b",".join(parts)


def to_plain(value: Any) -> Any:
    """The JSON form in Python: None, bool, int, float, str, list, dict."""
    return msgspec.json.decode(json_bytes(value))
