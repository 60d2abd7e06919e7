"""Arguments of a call → the msgpack body: arrays and files as binary, whatever form they have here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInputError
from ..schema.file import File
from ..schema.kind import Buffer
from ..schema.npy import octets

_ARRAYS = ("array", "tensor")
_BINARY = ("file", "bytes", "image")
_NUMBERS = "biuf"
LARGE_BYTES = 256 * 1024
"""From this size on an array is sent from where it is."""
_FIXMAP = 16
_BIN32 = 2**32


def packed(
    given: Mapping[str, Any], parameters: Mapping[str, Mapping[str, Any]], encode: Callable[[Any], bytes]
) -> list[Buffer]:
    """The body, in pieces: large arrays as they lie in memory.

    Args:
        given: name to value.
        parameters: name to what `x-tiffin` says of it.
        encode: of `runtime.schema.encode`.

    Raises:
        InvalidInputError: a value has no form in msgpack; `.path` says which.
    """
    values = {name: _prepared(value, parameters[name], name) for name, value in given.items()}
    try:
        if any(map(_is_large, values.values())) and len(values) < _FIXMAP:
            return _spliced(values, encode)
        return [encode(values)]
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInputError(f"it cannot be sent: {error}", path=_culprit(values, encode)) from error


def _is_large(value: Any) -> bool:
    return (
        isinstance(value, np.ndarray)
        and LARGE_BYTES <= value.nbytes < _BIN32
        and value.dtype.kind in _NUMBERS
    )


def _spliced(values: Mapping[str, Any], encode: Callable[[Any], bytes]) -> list[Buffer]:
    """msgpack around arrays that are not copied: `{"dtype": …, "shape": […], "data": bin}`, data last."""
    pieces: list[Buffer] = [bytes((0x80 | len(values),))]
    for name, value in values.items():
        pieces.append(encode(name))
        if not _is_large(value):
            pieces.append(encode(value))
            continue
        array = value.astype(value.dtype.newbyteorder("<"), copy=False)
        head = {"dtype": array.dtype.name, "shape": array.shape}
        pieces += [b"\x83", encode(head)[1:], encode("data"), b"\xc6", array.nbytes.to_bytes(4, "big")]
        pieces.append(octets(array))
    return pieces


def _culprit(values: Mapping[str, Any], encode: Callable[[Any], bytes]) -> str:
    """The path of the first value that cannot be encoded."""
    for name, value in values.items():
        with suppress(TypeError, ValueError, OverflowError, RecursionError):
            encode(value)
            continue
        return f"$.{name}"
    return "$"


def _prepared(value: Any, parameter: Mapping[str, Any], name: str) -> Any:
    kind = parameter["kind"]
    if value is None:
        return None
    if kind in _ARRAYS:
        return _array(value, parameter.get("dtype", ""))
    if kind in _BINARY:
        return _binary(value, kind, f"$.{name}")
    items = parameter.get("items", {}).get("kind")
    if items in _BINARY and isinstance(value, (list, tuple)):
        return [_binary(each, items, f"$.{name}[{number}]") for number, each in enumerate(value)]
    return list(value) if isinstance(value, Iterator) else value


def _array(value: Any, dtype: str) -> Any:
    """Lists of numbers as arrays; the server judges what is left as it is."""
    if not isinstance(value, (list, tuple, int, float)):
        return value
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        return value  # ragged, or holds what is no number: the server says where
    if array.dtype.kind not in _NUMBERS or not array.size or _has_tensors(value):
        return value
    return _cast(array, np.dtype(dtype)) if dtype and dtype != "bfloat16" else array


def _cast(array: np.ndarray[Any, Any], target: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Of the wanted dtype, where that loses nothing but digits of a float."""
    if target == array.dtype or target.kind not in "iuf" or array.dtype.kind not in "iuf":
        return array
    if target.kind == "f":
        with np.errstate(over="ignore"):
            cast = array.astype(target)
        return cast if bool(np.isfinite(cast).all()) else array
    if array.dtype.kind == "f":
        return array
    info = np.iinfo(target)
    return array.astype(target) if info.min <= int(array.min()) and int(array.max()) <= info.max else array


def _has_tensors(value: Any) -> bool:
    """A list of tensors would be read element by element."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, (list, tuple)) and isinstance(value[0], torch.Tensor)


def _binary(value: Any, kind: str, path: str) -> Any:
    if isinstance(value, Path):
        try:
            value = File(value.read_bytes(), name=value.name, media_type=_guess(value.name))
        except OSError as error:
            raise InvalidInputError(f"the file cannot be read: {error}", path=path) from error
    elif hasattr(value, "read") and not isinstance(value, File):
        name = getattr(value, "name", "")
        name = Path(name).name if isinstance(name, str) else ""
        value = File(value.read(), name=name, media_type=_guess(name))
    elif isinstance(value, str):
        raise InvalidInputError(
            f"expected {kind}, got a str; pass bytes, an open file, tiffin.File, or pathlib.Path for a path",
            path=path,
        )
    if isinstance(value, File):
        return value if kind == "file" else value.data
    return value


def _guess(name: str) -> str:
    from mimetypes import guess_type

    return guess_type(name)[0] or "application/octet-stream"
