"""numpy arrays and scalars, torch tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from ...errors import WireError
from . import values
from .frame import Buffer
from .plain import ARRAY, SENDABLE, flat


def _array(value: Any, buffers: list[Buffer]) -> Any:
    dtype = value.dtype
    if dtype.kind not in SENDABLE:
        return _elements(value, buffers)
    if dtype.itemsize == 0:  # "U0": numpy itself widens it as soon as it is touched
        value = value.astype(f"{dtype.kind}1")
        dtype = value.dtype
    description = values.nest(ARRAY, [len(buffers), dtype.str, value.shape])
    buffers.append(flat(value))
    return description


def _elements(value: Any, buffers: list[Buffer]) -> Any:
    """Arrays of Python objects, and of strings of any length."""
    if value.dtype.kind not in "OT":
        raise WireError(
            f"an array of dtype {value.dtype} cannot be sent between processes: "
            "use a numeric, boolean, text or date dtype; for fields use a dict of arrays"
        )
    items = [values.lower_child(item, buffers) for item in value.reshape(-1).tolist()]
    return values.nest(values.ELEMENTS, [value.dtype.kind, value.shape, items])


def _scalar(value: Any, _: list[Buffer]) -> Any:
    if value.dtype.kind not in SENDABLE:
        raise WireError(f"a numpy scalar of dtype {value.dtype} cannot be sent between processes")
    return values.nest(values.SCALAR, [value.dtype.str, value.tobytes()])


def _tensor(value: Any, buffers: list[Buffer]) -> Any:
    import torch

    if value.layout != torch.strided or value.is_quantized:
        raise WireError(f"a {value.layout} tensor cannot be sent between processes: call .to_dense() first")
    value = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
    name = str(value.dtype).removeprefix("torch.")
    description = values.nest(values.TENSOR, [len(buffers), name, list(value.shape)])
    buffers.append(memoryview(value.reshape(-1).view(torch.uint8).numpy()) if value.numel() else b"")
    return description


def _raise_array(data: memoryview, buffers: Sequence[memoryview]) -> Any:
    import numpy as np

    index, name, shape = msgspec.msgpack.decode(data)
    dtype = np.dtype(name)
    if dtype.kind not in SENDABLE or not dtype.itemsize:
        raise WireError(f"malformed array: dtype {name!r}")
    buffer = _checked(buffers[index], shape, dtype.itemsize)
    if not buffer:
        return np.empty(shape, dtype)
    return np.frombuffer(buffer, dtype).reshape(shape)


def _raise_elements(data: memoryview, buffers: Sequence[memoryview]) -> Any:
    import numpy as np

    kind, shape, items = values.raise_child(data, buffers)
    if any(size < 0 for size in shape) or math.prod(shape) != len(items):
        raise WireError(f"malformed array: {len(items)} elements for shape {shape}")
    flat = np.empty(len(items), object)
    for place, item in enumerate(items):
        flat[place] = item
    return flat.reshape(shape) if kind == "O" else flat.astype("T").reshape(shape)


def _raise_scalar(data: memoryview, _: Sequence[memoryview]) -> Any:
    import numpy as np

    name, raw = msgspec.msgpack.decode(data)
    dtype = np.dtype(name)
    if dtype.kind not in SENDABLE or (dtype.itemsize or 0) != len(raw):
        raise WireError(f"malformed scalar: dtype {name!r}")
    return np.frombuffer(raw, dtype)[0] if raw else dtype.type()


def _raise_tensor(data: memoryview, buffers: Sequence[memoryview]) -> Any:
    import torch

    index, name, shape = msgspec.msgpack.decode(data)
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise WireError(f"malformed tensor: dtype {name!r}")
    buffer = _checked(buffers[index], shape, dtype.itemsize)
    if not buffer:
        return torch.empty(shape, dtype=dtype)
    if buffer.readonly:  # torch warns of memory that it could write to and must not
        buffer = memoryview(bytearray(buffer))
    return torch.frombuffer(buffer, dtype=dtype).reshape(shape)


def _checked(buffer: memoryview, shape: list[int], itemsize: int) -> memoryview:
    if any(size < 0 for size in shape) or math.prod(shape) * itemsize != len(buffer):
        raise WireError(f"malformed array: {len(buffer)} bytes for shape {shape} of {itemsize} bytes each")
    return buffer


def match(kind: type) -> values.Lower | None:
    """The codec for a type of this file."""
    for base in kind.__mro__:
        module = base.__module__.partition(".")[0]
        if module == "numpy" and base.__name__ == "ndarray":
            return _array
        if module == "numpy" and base.__name__ == "generic":
            return _scalar
        if module == "torch" and base.__name__ == "Tensor":
            return _tensor
    return None


RAISE: dict[int, values.Raise] = {
    ARRAY: _raise_array,
    values.ELEMENTS: _raise_elements,
    values.SCALAR: _raise_scalar,
    values.TENSOR: _raise_tensor,
}
