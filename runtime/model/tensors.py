"""numpy arrays into torch tensors and back, through tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def to_tensors(value: Any, device: Any, dtype: Any) -> Any:  # noqa: PLR0911 - one rule a kind
    """Arrays and lists of numbers become tensors on a device; anything else stays as it is.

    Args:
        value: an array, tensor, list of numbers, or a tuple or dict of such.
        device: of the model.
        dtype: floating dtype of the model's parameters, which floating arrays are cast to; numpy computes in
            float64 and knows no bfloat16. Tensors keep the dtype they have. None: no cast.
    """
    import numpy as np
    import torch

    if type(value) is not np.ndarray and isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        # A batch off the wire is read-only memory; a model that works in place must get its own.
        array = value if value.flags.writeable else value.copy()
        if not value.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        tensor = torch.from_numpy(array).to(device)
        return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
    if isinstance(value, Mapping):
        return {key: to_tensors(item, device, dtype) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(to_tensors(item, device, dtype) for item in value)
    if isinstance(value, list) and _numbers(value):
        return to_tensors(np.asarray(value), device, dtype)
    if isinstance(value, list):
        return [to_tensors(item, device, dtype) for item in value]
    return value


def from_tensors(value: Any, *, keep: bool) -> Any:
    """Tensors come back to the CPU, as arrays.

    Args:
        value: what a model gave.
        keep: leave them tensors, as the caller sent tensors.
    """
    import torch

    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        if tensor.is_complex() or tensor.is_neg():
            tensor = tensor.resolve_conj().resolve_neg()
        if keep:
            return tensor
        # bfloat16 and the 8-bit floats have no numpy dtype; float32 holds each of their values.
        return (tensor.float() if _beyond_numpy(tensor) else tensor).numpy()
    if isinstance(value, Mapping):
        return {key: from_tensors(item, keep=keep) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(from_tensors(item, keep=keep) for item in value)
    if isinstance(value, list):
        return [from_tensors(item, keep=keep) for item in value]
    return value


def holds_tensor(value: Any) -> bool:
    import numpy as np
    import torch

    if type(value) is np.ndarray:
        return False
    if isinstance(value, (tuple, list)):
        return any(map(holds_tensor, value))
    if isinstance(value, Mapping):
        return any(map(holds_tensor, value.values()))
    return isinstance(value, torch.Tensor)


def _numbers(value: list[Any]) -> bool:
    """Told by the first item, as deep as lists go: `[[1.0, 2.0], …]`."""
    first: Any = value
    while isinstance(first, list) and first:
        first = first[0]
    return isinstance(first, (bool, int, float)) and bool(value)


def _beyond_numpy(tensor: Any) -> bool:
    import torch

    native = {torch.float16, torch.float32, torch.float64}
    return tensor.is_floating_point() and tensor.dtype not in native
