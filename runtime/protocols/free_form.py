"""Results that no hint describes: what they are decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..schema.tensor import is_tensor, to_numpy
from .array_form import array_tensor, bfloat16_bits
from .datatypes import BF16
from .json_form import json_tensor
from .scalar_form import scalar_tensor
from .tensor import Tensor
from .tensor_form import SCALARS, TensorForm


class FreeForm(TensorForm):
    """Arrays, tensors, scalars and lists of scalars as tensors; all else as JSON."""

    def value(self, tensor: Tensor) -> Any:
        return tensor.array

    def tensor(self, name: str, value: Any) -> Tensor:
        return free_tensor(name, value)


def free_tensor(name: str, value: Any) -> Tensor:  # noqa: PLR0911 - one for each kind
    """Any value; raises TypeError or ValueError when it has no form at all."""
    bits = bfloat16_bits(value)
    if bits is not None:
        return Tensor(name, BF16, bits.shape, bits)
    if is_tensor(value):
        return array_tensor(name, to_numpy(value))
    if isinstance(value, (np.ndarray, np.generic)):
        return array_tensor(name, np.asarray(value))
    if type(value) in SCALARS:
        return scalar_tensor(name, SCALARS[type(value)], [value], (1,))
    if isinstance(value, (bytes, bytearray)):
        return scalar_tensor(name, "BYTES", [bytes(value)], (1,))
    if isinstance(value, list) and value:
        kinds = set(map(type, value))
        if len(kinds) == 1 and (kind := kinds.pop()) in SCALARS:
            return scalar_tensor(name, SCALARS[kind], value, (len(value),))
    return json_tensor(name, value)
