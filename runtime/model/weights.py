"""A torch state dict as a safetensors file, or as a file of torch's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import ModelError


def why_not_safe(module: Any) -> str:
    """Why the weights do not fit the safetensors format; empty when they do."""
    import torch

    fits = {
        *(
            torch.float64,
            torch.float32,
            torch.float16,
            torch.bfloat16,
            torch.float8_e4m3fn,
            torch.float8_e5m2,
        ),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    }
    for name, tensor in module.state_dict().items():
        if type(tensor) is not torch.Tensor:
            return f"{name!r} is a {type(tensor).__qualname__}, not a plain tensor"
        if tensor.dtype not in fits or tensor.layout is not torch.strided or tensor.is_quantized:
            return f"{name!r} is {tensor.dtype} in layout {tensor.layout}, which safetensors does not hold"
    return ""


def write_weights(module: Any, path: Path) -> dict[str, str]:
    """Writes each tensor once.

    Returns:
        Names that share the memory of another (tied weights) to the name that was written.
    """
    from safetensors.torch import save_file

    kept: dict[tuple[Any, ...], str] = {}
    storages: set[int] = set()
    tensors, tied = {}, {}
    for name, tensor in module.state_dict().items():
        storage = tensor.untyped_storage().data_ptr()
        key = (storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)
        if storage and key in kept:
            tied[name] = kept[key]
            continue
        kept[key] = name
        # Two views of one piece of memory that are not the same view are two tensors here.
        tensors[name] = tensor.clone() if storage in storages else tensor.contiguous()
        storages.add(storage)
    save_file(tensors, path)
    return tied


def read_weights(path: Path, tied: dict[str, str], device: Any) -> dict[str, Any]:
    """The state dict that `write_weights` wrote, on a device."""
    from safetensors.torch import load_file

    state: dict[str, Any] = load_file(path, device=str(device))
    return {**state, **{name: state[source] for name, source in tied.items()}}


def is_safetensors(path: Path) -> bool:
    """Told by its first bytes: u64 length of the head, which begins with a brace."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def read_state(path: Path) -> dict[str, Any]:
    """The state dict in a file of safetensors or of `torch.save`, mapped; no pickle is run.

    Raises:
        ModelError: it is none of them, or holds more than tensors.
    """
    import torch

    if not path.is_file():
        raise ModelError(f"{path} is no file: give the file of a state dict")
    if is_safetensors(path):
        return read_weights(path, {}, "cpu")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(
            f"{path} is no state dict, or one that runs code when it is read: {error}; load it yourself, if "
            "you trust its maker, and save the module"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(one, torch.Tensor) for one in state.values()):
        raise ModelError(
            f"{path} is no state dict: it holds more than named tensors; load it, and save the module"
        )
    return dict(state)
