"""A body that is the bytes of the only input: what its shape is follows from its length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ....errors import InvalidInputError
from ..datatypes import BYTES, DTYPES

if TYPE_CHECKING:
    from ..endpoint import Endpoint


def raw_input(endpoint: Endpoint, size_bytes: int) -> tuple[str, str, tuple[int, ...]]:
    """Name, datatype and shape of the input.

    Args:
        size_bytes: of the body.

    Raises:
        InvalidInputError: the endpoint needs several inputs, or the length does not say what the shape is.
    """
    specs = endpoint.inputs.specs
    required = [spec for spec in specs if not spec.optional] or list(specs)
    if len(required) != 1:
        names = ", ".join(spec.name for spec in specs)
        raise InvalidInputError(
            f"a raw binary request (Inference-Header-Content-Length: 0) is for models with one input; "
            f"{endpoint.name!r} has {len(specs)}: {names}"
        )
    name, datatype, shape, _ = required[0]
    if datatype == BYTES:
        return name, datatype, (1,)
    return name, datatype, _shape(datatype, shape, size_bytes)


def _shape(datatype: str, shape: tuple[int, ...], size_bytes: int) -> tuple[int, ...]:
    """Of several axes of any size all but the last are 1."""
    open_axes = [axis for axis, size in enumerate(shape) if size < 0]
    sizes = [1 if size < 0 else size for size in shape]
    row = math.prod(sizes) * DTYPES[datatype].itemsize
    if open_axes and row and size_bytes % row == 0:
        sizes[open_axes[-1]] = size_bytes // row
    if math.prod(sizes) * DTYPES[datatype].itemsize != size_bytes:
        raise InvalidInputError(
            f"{size_bytes} bytes are no {datatype} elements of shape {list(shape)}: a row has {row} bytes"
        )
    return tuple(sizes)
