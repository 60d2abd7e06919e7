"""torch tensors: `torch.Tensor` and jaxtyping over it. They arrive on the CPU, by way of numpy, not copied.

A hint that names torch means that the user's module has imported it; nothing here imports it first.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .array import ArrayKind


class TensorKind(ArrayKind):
    """A tensor with allowed dtypes and a shape; bfloat16 travels as float32."""

    spec_kind = "tensor"

    def is_value(self, value: Any) -> bool:
        return is_tensor(value) or super().is_value(value)

    def to_numpy(self, value: Any) -> np.ndarray[Any, Any]:
        return to_numpy(value) if is_tensor(value) else np.asarray(value)

    def finish(self, array: np.ndarray[Any, Any]) -> Any:
        import torch

        tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
        names = self.dtypes.names
        if names is not None and array.dtype.name not in names and self.dtypes.float is not None:
            return tensor.to(getattr(torch, self.dtypes.float))
        return tensor


def is_tensor(value: Any) -> bool:
    """Whether it is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def to_numpy(tensor: Any) -> np.ndarray[Any, Any]:
    """Any dense tensor → numpy on the CPU; bfloat16 as float32."""
    import torch

    tensor = tensor.detach()
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.to(torch.float32)
    array: np.ndarray[Any, Any] = tensor.cpu().numpy()
    return array
