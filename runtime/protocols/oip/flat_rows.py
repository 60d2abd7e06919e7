"""A value of plain JSON → the tensor that an input of a runner's method takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ....errors import InvalidInputError
from ..tensor import Tensor
from .json_data import elements

if TYPE_CHECKING:
    from ..tensor import TensorSpec


def rows_of(spec: TensorSpec, raw: msgspec.Raw) -> Tensor:
    """One value is a tensor of one element.

    Raises:
        InvalidInputError: it is no number, text, or list of them that is the same length everywhere.
    """
    path = f"$.{spec.name}"
    value = msgspec.json.decode(raw)
    listed = value if isinstance(value, list) else [value]
    shape = _shape(listed, path)
    array = elements(msgspec.json.encode(listed), spec.datatype, shape, path)
    return Tensor(spec.name, spec.datatype, shape, array)


def _shape(value: Any, path: str) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    if isinstance(value, dict):
        raise InvalidInputError("expected numbers or texts", path=path)
    return tuple(shape)
