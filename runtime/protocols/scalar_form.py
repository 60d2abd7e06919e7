"""Numbers, booleans and texts: tensors of one element."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ..schema.encode import to_plain
from ..schema.explain import explain
from ..schema.lower import dec_hook
from ..schema.wrong import WrongValueError
from . import byte_strings
from .datatypes import BYTES, DTYPES
from .tensor import Tensor
from .tensor_form import SCALARS, TensorForm


class ScalarForm(TensorForm):
    """`int`, `float`, `bool` or `str`, perhaps with bounds.

    Args:
        scalar: which of them.
        lowered: the whole hint, which checks the value.
    """

    def __init__(self, scalar: type, lowered: Any) -> None:
        super().__init__(SCALARS[scalar], (1,))
        self._lowered = lowered

    def value(self, tensor: Tensor) -> Any:
        check_datatype(tensor, self.datatype)
        return converted(python_values(single(tensor))[0], self._lowered, strict=True)

    def tensor(self, name: str, value: Any) -> Tensor:
        return scalar_tensor(name, self.datatype, [value], (1,))


class TextForm(TensorForm):
    """What a text alone can say: dates, enums, literals, UUIDs."""

    def __init__(self, lowered: Any) -> None:
        super().__init__(BYTES, (1,))
        self._lowered = lowered

    def value(self, tensor: Tensor) -> Any:
        check_datatype(tensor, BYTES)
        return converted(python_values(single(tensor))[0], self._lowered, strict=False)

    def tensor(self, name: str, value: Any) -> Tensor:
        plain = to_plain(value)
        text = plain if isinstance(plain, str) else msgspec.json.encode(plain)
        return scalar_tensor(name, BYTES, [text], (1,))


def check_datatype(tensor: Tensor, datatype: str) -> None:
    """Raises WrongValueError for another one."""
    if tensor.datatype != datatype:
        raise WrongValueError(f"expected datatype {datatype}, got {tensor.datatype}", ".datatype")


def single(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The array of a tensor that must have one element; raises WrongValueError."""
    if tensor.array.size != 1:
        raise WrongValueError(f"expected one element, shape [1], got shape {list(tensor.shape)}", ".shape")
    return tensor.array


def python_values(array: np.ndarray[Any, Any]) -> list[Any]:
    """The elements, flat; bytes as text. Raises WrongValueError for bytes that are no UTF-8."""
    values: list[Any] = decoded(array) if array.dtype.hasobject else array.ravel().tolist()
    return values


def decoded(array: np.ndarray[Any, Any]) -> list[str]:
    """The elements of a BYTES tensor as text, flat; raises WrongValueError for bytes that are no UTF-8."""
    try:
        return [element.decode() for element in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        text = f"expected UTF-8 text: {error.reason} at byte {error.start}"
        raise WrongValueError(text, ".data") from error


def converted(value: Any, lowered: Any, *, strict: bool) -> Any:
    """A plain value → what the hint says; raises WrongValueError."""
    try:
        return msgspec.convert(value, lowered, strict=strict, dec_hook=dec_hook)
    except (msgspec.ValidationError, RecursionError) as error:
        refused = explain(error, (), hint=lowered)
        raise WrongValueError(refused.message, f".data{refused.path[1:]}") from error


def scalar_tensor(name: str, datatype: str, values: Any, shape: tuple[int, ...]) -> Tensor:
    """Python values → tensor; raises TypeError, ValueError or OverflowError when they are none of these."""
    if datatype == BYTES:
        octets = [value if isinstance(value, bytes) else value.encode() for value in values]
        return Tensor(name, BYTES, shape, byte_strings.as_array(octets, shape))
    return Tensor(name, datatype, shape, np.array(values, DTYPES[datatype]).reshape(shape))
