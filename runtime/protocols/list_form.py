"""Lists of numbers, booleans or texts: tensors of one axis, and lists of lists of more."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..schema.wrong import WrongValueError
from . import byte_strings
from .datatypes import BYTES, DTYPES
from .scalar_form import check_datatype, converted, decoded
from .tensor import Tensor
from .tensor_form import SCALARS, TensorForm


class ListForm(TensorForm):
    """`list[float]`, `list[list[str]]` …

    Args:
        scalar: what is inside.
        depth: lists in each other.
        lowered: the whole hint, which checks the value.
    """

    def __init__(self, scalar: type, depth: int, lowered: Any) -> None:
        super().__init__(SCALARS[scalar], (-1,) * depth)
        self._depth = depth
        self._lowered = lowered

    def value(self, tensor: Tensor) -> Any:
        check_datatype(tensor, self.datatype)
        if len(tensor.shape) != self._depth:
            raise WrongValueError(f"expected {self._depth} axes, got shape {list(tensor.shape)}", ".shape")
        array = tensor.array
        if tensor.datatype == BYTES:
            array = _texts(array)
        return converted(array.tolist(), self._lowered, strict=True)

    def tensor(self, name: str, value: Any) -> Tensor:
        if self._depth == 1 and self.datatype == BYTES:
            octets = [item.encode() for item in value]
            return Tensor(name, BYTES, (len(octets),), byte_strings.as_array(octets, (len(octets),)))
        if self.datatype == BYTES:
            array: np.ndarray[Any, Any] = np.array(value, object)
            octets = [item.encode() for item in array.ravel().tolist()]
            return Tensor(name, BYTES, array.shape, byte_strings.as_array(octets, array.shape))
        array = np.array(value, DTYPES[self.datatype])
        return Tensor(name, self.datatype, array.shape, array)


def _texts(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    texts = decoded(array)
    made: np.ndarray[Any, Any] = np.empty(len(texts), object)
    made[:] = texts
    shaped: np.ndarray[Any, Any] = made.reshape(array.shape)
    return shaped
