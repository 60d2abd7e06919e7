"""numpy arrays: bare `np.ndarray`, `NDArray[np.float32]`, and jaxtyping's `Float32[np.ndarray, "n 4"]`."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ..manifest import TypeSpec
from . import nested, npy
from .dims import MAX_AXES, Dims
from .dtypes import Dtypes, named
from .kind import Buffer, Kind
from .wrong import WrongValueError

_MAX_EXAMPLE_ELEMENTS = 64
_LARGE_BYTES = 64 * 1024


class ArrayKind(Kind):
    """An array with allowed dtypes and a shape.

    Args:
        dtypes: what the elements may be.
        dims: the shape; None means any.
    """

    raw_media = (npy.MEDIA_TYPE,)
    spec_kind = "array"
    heavy_bytes = 128 * 1024

    def __init__(self, dtypes: Dtypes, dims: Dims | None) -> None:
        shape = f" of shape {dims}" if dims is not None else ""
        super().__init__(f"{dtypes.title} {self.spec_kind}{shape}")
        self.dtypes = dtypes
        self.dims = dims
        self.depth = dims.ndim if dims is not None else None
        self.list_type = nested.list_type(dtypes.element, self.depth) if self.depth else None
        """What msgspec decodes JSON into for `from_list`; None when the number of axes is open, or zero."""
        self._front, self._tail = (None, ()) if dims is None else dims.front_and_tail()

    def from_list(self, value: Any) -> Any:
        """`value` has passed msgspec as `list_type` → array. The hot path."""
        return self.shaped(nested.to_array(value, self.dtypes, self.depth or 0))

    def shaped(self, array: np.ndarray[Any, Any]) -> Any:
        """An array of an allowed dtype → the user's type; raises WrongValueError for another shape."""
        front, shape = self._front, array.shape
        if len(shape) != self.depth or front is None or shape[front:] != self._tail:
            array = self._fit(array)
        return self.finish(array)

    def from_plain(self, value: Any) -> Any:
        if self.is_value(value):
            return self.shaped(self.dtypes.cast(self.to_numpy(value)))
        if isinstance(value, dict):
            array = self.dtypes.cast(_compact(value))
        else:
            array = nested.from_plain(value, self.dtypes, self.depth)
        return self.shaped(array)

    def from_raw(self, body: bytes, media_type: str, name: str = "") -> Any:  # noqa: ARG002 - the body says it all
        return self.shaped(self.dtypes.cast(npy.read(body)))

    def _fit(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        dims = self.dims
        if dims is None:
            return array
        if array.size == 0:
            shape = dims.empty(array.shape)
            if shape is not None and 0 in shape:
                array = array.reshape(shape)
        dims.check(array.shape)
        if dims.linked:
            sizes: dict[str, Any] = {}
            dims.bind(array.shape, sizes)
            if dims.needs <= sizes.keys():
                dims.evaluate(array.shape, sizes)
        return array

    def outgoing(self, value: Any) -> np.ndarray[Any, Any]:
        """A result → numpy in an allowed dtype and shape; raises WrongValueError."""
        array = self.dtypes.cast(self.to_numpy(value))
        if self.dims is not None:
            self.dims.check(array.shape)
        return array

    def is_value(self, value: Any) -> bool:
        return isinstance(value, (np.ndarray, np.generic))

    def to_numpy(self, value: Any) -> np.ndarray[Any, Any]:
        """The user's type → numpy, without a copy where it can."""
        return np.asarray(value)

    def finish(self, array: np.ndarray[Any, Any]) -> Any:
        """numpy → the user's type."""
        return array

    def spec(self) -> TypeSpec:
        dtype, dtypes = self.dtypes.spec
        return TypeSpec(
            kind=self.spec_kind,
            dtype=dtype,
            dtypes=dtypes,
            shape=None if self.dims is None else self.dims.spec(),
            json_schema=self.json_schema(),
        )

    def json_schema(self) -> dict[str, Any]:
        element = self._element_schema()
        if self.dims is None or self.depth is None:
            # The number of axes is open: lists of anything, checked by the server. Generators of clients
            # want to be told of the items.
            return {"description": self.title, "type": ["array", *_types(element)], "items": {}}
        schema = element
        for axis in reversed(self.dims.axes):
            schema = {"type": "array", "items": schema}
            if axis.size is not None and not axis.stretches:
                schema |= {"minItems": axis.size, "maxItems": axis.size}
        return {"description": self.title, **schema}

    def _element_schema(self) -> dict[str, Any]:
        dtypes = self.dtypes
        if dtypes.names is None:
            return {"type": ["number", "boolean", "string"]}
        if dtypes.float is not None:
            return {"type": ["number", "boolean"] if dtypes.bool else "number"}
        if dtypes.int is None:
            return {"type": "boolean"}
        info = np.iinfo(dtypes.int)
        return {"type": "integer", "minimum": int(info.min), "maximum": int(info.max)}

    def example(self) -> Any:
        shape = self.dims.sample() if self.dims is not None else (1,)
        if math.prod(shape) > _MAX_EXAMPLE_ELEMENTS:
            return None
        dtype = self.dtypes.only if self.dtypes.only is not None else np.dtype(float)
        return np.zeros(shape, dtype).tolist()


def _types(schema: dict[str, Any]) -> list[str]:
    kind = schema["type"]
    return kind if isinstance(kind, list) else [kind]


def _compact(value: dict[Any, Any]) -> np.ndarray[Any, Any]:
    """msgpack's compact form `{"dtype": "float32", "shape": [1, 4], "data": <bin>}`: little-endian, C."""
    if set(value) != {"dtype", "shape", "data"}:
        raise WrongValueError("expected nested lists, or a map of exactly dtype, shape and data")
    dtype, shape, data = value["dtype"], value["shape"], value["data"]
    if not isinstance(dtype, str):
        raise WrongValueError("expected the name of a dtype", ".dtype")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise WrongValueError("expected a list of sizes", ".shape")
    if len(shape) > MAX_AXES:
        raise WrongValueError(f"expected at most {MAX_AXES} axes, got {len(shape)}", ".shape")
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise WrongValueError(
            "expected the elements as binary (msgpack bin); JSON takes nested lists", ".data"
        )
    return unpacked(dtype, tuple(shape), data)


def unpacked(dtype: str, shape: tuple[int, ...], data: Buffer) -> np.ndarray[Any, Any]:
    """The parts of the compact form → array of its own memory; raises WrongValueError."""
    try:
        return npy.elements(data, _little(dtype), shape)
    except ValueError as error:
        raise WrongValueError(str(error), ".dtype" if "dtype" in str(error) else ".data") from error


def compact(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The compact form of msgpack; raises ValueError for object arrays."""
    name, little = _compact_names(array.dtype)
    if little is not None:
        array = array.astype(little)
    large = array.nbytes >= _LARGE_BYTES
    return {
        "dtype": name,
        "shape": array.shape,
        # What is large is copied once, by msgpack.
        "data": npy.octets(array) if large else array.tobytes(),
    }


@lru_cache(maxsize=256)
def _little(name: str) -> np.dtype[Any]:
    """The dtype of a name that says no byte order, or its own."""
    dtype = named(name)
    return dtype if name.startswith(">") else dtype.newbyteorder("<")


@lru_cache(maxsize=256)
def _compact_names(dtype: np.dtype[Any]) -> tuple[str, np.dtype[Any] | None]:
    """How callers are told of a dtype, and what to make of it first (None: nothing)."""
    if dtype.hasobject:
        raise ValueError("an array of Python objects has no compact form; give it a dtype")
    little = dtype.newbyteorder("<")
    return dtype.name if dtype.kind in "biuf" else little.str, None if dtype == little else little
