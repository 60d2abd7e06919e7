"""numpy arrays and torch tensors: tensors of the same dtype and shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..schema.array import ArrayKind
from ..schema.dtypes import Dtypes
from ..schema.tensor import is_tensor, to_numpy
from ..schema.texts import check_room
from ..schema.wrong import WrongValueError
from . import byte_strings
from .datatypes import BF16, BY_DTYPE, BYTES, DTYPES, NAMES, datatype_of
from .scalar_form import decoded
from .tensor import Tensor
from .tensor_form import TensorForm

_WIDEST = ("FP64", "FP32", BF16, "FP16")


class ArrayForm(TensorForm):
    """Takes the datatypes that the hint allows and no others: nothing is cast."""

    def __init__(self, kind: ArrayKind) -> None:
        self._kind = kind
        self._dims = kind.dims
        allowed = _allowed(kind.dtypes)
        self._allowed = frozenset(allowed)
        widest = next((name for name in _WIDEST if name in allowed), allowed[0])
        axes = [] if kind.dims is None else kind.dims.spec()
        shape = tuple(axis if isinstance(axis, int) else -1 for axis in axes)
        super().__init__(widest, shape if kind.dims is not None else (-1,))

    def value(self, tensor: Tensor) -> Any:
        datatype, array = tensor.datatype, tensor.array
        if datatype not in self._allowed:
            raise WrongValueError(f"expected datatype {self._words()}, got {datatype}", ".datatype")
        if datatype == BF16:
            array = widened(array)
        elif datatype == BYTES:
            array = _texts(array)
        return self._kind.shaped(array)

    def of_array(self, datatype: str) -> Callable[[np.ndarray[Any, Any]], Any] | None:
        plain = datatype in self._allowed and datatype not in (BF16, BYTES)
        return self._kind.shaped if plain else None

    def tensor(self, name: str, value: Any) -> Tensor:
        if type(value) is np.ndarray:  # as nearly always: nothing to convert
            datatype = BY_DTYPE.get(value.dtype)
            if datatype is not None and datatype in self._allowed and value.flags.c_contiguous:
                if self._dims is not None:
                    self._dims.check(value.shape)
                return Tensor(name, datatype, value.shape, value)
        return self._converted(name, value)

    def _converted(self, name: str, value: Any) -> Tensor:
        kind = self._kind
        bits = bfloat16_bits(value)
        if bits is not None:
            if BF16 not in self._allowed:
                return array_tensor(name, kind.outgoing(value))
            if kind.dims is not None:
                kind.dims.check(bits.shape)
            return Tensor(name, BF16, bits.shape, bits)
        if not kind.is_value(value):
            value = kind.from_plain(value)
        return array_tensor(name, kind.outgoing(value))

    def _words(self) -> str:
        known = [name for name in (*DTYPES, BYTES) if name in self._allowed]
        return known[0] if len(known) == 1 else f"one of {', '.join(known)}"


def _allowed(dtypes: Dtypes) -> tuple[str, ...]:
    return (*DTYPES, BYTES) if dtypes.names is None else tuple(NAMES[name] for name in dtypes.names)


def array_tensor(name: str, array: np.ndarray[Any, Any]) -> Tensor:
    """Any array; raises TypeError when the protocol has no such elements."""
    datatype = datatype_of(array.dtype)
    if not datatype:
        raise TypeError(f"elements of {array.dtype} have no datatype in this protocol")
    if datatype == BYTES:
        return Tensor(name, BYTES, array.shape, _octets(array))
    little = DTYPES[datatype]
    if not array.flags.c_contiguous or array.dtype != little:
        array = np.array(array, little, order="C")
    return Tensor(name, datatype, array.shape, array)


def widened(bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The bits of bfloat16 (uint16) → float32, which holds every one of them."""
    wide: np.ndarray[Any, Any] = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return wide


def bfloat16_bits(value: Any) -> np.ndarray[Any, Any] | None:
    """The bits of a torch tensor of bfloat16, as uint16; None for all else."""
    if not is_tensor(value):
        return None
    import torch

    if value.dtype is not torch.bfloat16:
        return None
    bits = to_numpy(value.detach().cpu().contiguous().view(torch.int16))
    return bits.view(np.uint16)


def _texts(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Bytes → an array of strings, as JSON gives them."""
    texts = decoded(array)
    check_room(texts)
    made: np.ndarray[Any, Any] = np.array(texts, str).reshape(array.shape)
    return made


def _octets(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return byte_strings.as_array(map(_octets_of, array.ravel().tolist()), array.shape)


def _octets_of(element: Any) -> bytes:
    if isinstance(element, (bytes, bytearray)):
        return bytes(element)
    if isinstance(element, str):
        return element.encode()
    raise TypeError(f"an element is a {type(element).__name__}, which has no datatype in this protocol")
