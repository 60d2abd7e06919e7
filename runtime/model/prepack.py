"""Linear layers on a CPU whose weights are packed once, in the layout of its matrix units.

Torch multiplies float32 matrices with MKL, which packs the weights anew in every call, and on a CPU that
Intel has not made uses half of its vector units. Through oneDNN, weights are packed when the model is loaded;
its words on that: https://uxlfoundation.github.io/oneDNN/dev_guide_inference.html. The operators are those
that `torch.compile` puts in with frozen weights.
"""

from __future__ import annotations

import copy
import logging
import platform
import types
from dataclasses import dataclass
from typing import Any

from .torch_call import torch_or_error

log = logging.getLogger(__name__)

FRAMEWORKS = ("torch", "lightning", "transformers", "sentence_transformers")
"""Whose models are, or hold as `.model`, a `torch.nn.Module` of layers."""
UNASKED_BYTES = 256 * 1024 * 1024
"""Weights that are packed when nobody says whether: the packed copy is memory that workers do not share."""
_LEAST = 128 * 1024
"""Weights of a layer. A call through oneDNN costs 10 µs more, which a smaller layer does not win back."""
_LEAST_FOR_ONE_ROW = 1024 * 1024
"""Weights of a layer that is faster with a single row as well: it no longer fits a core's cache."""
_MACHINES = ("x86_64", "amd64")
_TOLERANCE = 1e-4
"""Of the largest number in a layer's answer to the trial; both ways round to some 1e-6 of it."""
_EXACT, _EVEN = 4, 64
"""Up to how many rows each power of two, and up to how many each multiple of 8, has code of its own."""


@dataclass(frozen=True)
class Packed:
    """What `prepack` did."""

    layers: int
    """Layers that are packed."""
    weight_bytes: int
    """What the packed copies hold."""
    left_bytes: int
    """What would have been packed, had it not been too much."""


def prepack(loaded: Any, most_bytes: int | None = None) -> Packed:
    """Packs the float32 weights of the large `torch.nn.Linear` layers, in place.

    Weights, state dict and classes stay as they are. A layer's packed weights are used for what they were
    made for: float32 rows on the CPU, without gradients, tracing or autocast; everything else, and every call
    after the weights were changed, goes the layer's own way.

    Args:
        loaded: a module, or what holds one as `.model`; anything else has nothing to pack.
        most_bytes: of weights; beyond it nothing is packed. None: no limit.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    torch = torch_or_error()
    module = loaded if isinstance(loaded, torch.nn.Module) else getattr(loaded, "model", None)
    if not isinstance(module, torch.nn.Module) or not _possible():
        return Packed(0, 0, 0)
    layers = [part for part in module.modules() if _packable(part)]
    weights = {id(layer.weight): layer.weight for layer in layers}
    total = sum(weight.nbytes for weight in weights.values())
    if most_bytes is not None and total > most_bytes:
        return Packed(0, 0, total)
    with torch.inference_mode():
        copies = {key: _packed(weight) for key, weight in weights.items()}
        done = [layer for layer in layers if _replace(layer, copies[id(layer.weight)])]
    used = {id(layer.weight) for layer in done}
    return Packed(len(done), sum(weights[key].nbytes for key in used), 0)


def sizes_of_code(rows: int) -> list[int]:
    """The numbers of rows up to `rows` that packed layers have code of their own for."""
    sizes = []
    size = 1
    while size < rows:
        sizes.append(size)
        size = _rounded(size + 1)
    return [*sizes, _rounded(rows)]


def _possible() -> bool:
    torch = torch_or_error()
    operators = torch.ops.mkldnn
    return (
        platform.machine().lower() in _MACHINES
        and torch.backends.mkldnn.is_available()
        and hasattr(operators, "_reorder_linear_weight")
        and hasattr(operators, "_linear_pointwise")
    )


def _packable(part: Any) -> bool:
    torch = torch_or_error()
    # A class of its own may compute something else, a `forward` of its own is another library's.
    if type(part) is not torch.nn.Linear or "forward" in part.__dict__:
        return False
    weight, bias = part._parameters.get("weight"), part._parameters.get("bias")
    if weight is None or weight.is_inference() or weight.numel() < _LEAST:
        return False
    return all(
        one is None
        or (one.dtype is torch.float32 and one.device.type == "cpu" and one.layout is torch.strided)
        for one in (weight, bias)
    )


def _packed(weight: Any) -> Any:
    """The weight in oneDNN's layout; None where this torch cannot."""
    torch = torch_or_error()
    try:
        return torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
    except (RuntimeError, TypeError) as error:
        log.debug("a weight of shape %s is not packed: %s", tuple(weight.shape), error)
        return None


def _replace(layer: Any, packed: Any) -> bool:
    """Whether the layer now answers by its packed weight, which it must have shown in a trial."""
    if packed is None:
        return False
    torch = torch_or_error()
    forward = _Forward(layer, packed, torch)
    trial = torch.linspace(-1, 1, _EXACT * layer.in_features).view(_EXACT, layer.in_features)
    try:
        found = forward(trial)
    except (RuntimeError, TypeError) as error:
        log.debug("a layer %s stays as it is: %s", layer, error)
        return False
    right = torch.nn.Linear.forward(layer, trial)
    largest = float(right.abs().nan_to_num(0, 0, 0).max())
    if not torch.allclose(found, right, rtol=0, atol=_TOLERANCE * largest, equal_nan=True):
        log.warning("oneDNN computes something else for a layer %s, which stays as it is", layer)
        return False
    layer.forward = forward
    return True


class _Forward:
    """Stands as `forward` in one layer."""

    def __init__(self, layer: Any, packed: Any, torch: Any) -> None:
        self._layer, self._packed, self._torch = layer, packed, torch
        self._weight = weight = layer._parameters["weight"]
        self._version, self._at, self._width = weight._version, weight.data_ptr(), weight.shape[1]
        self._least = 1 if weight.numel() >= _LEAST_FOR_ONE_ROW else 2
        self._plain = _own_forward(layer)
        self._multiply = torch.ops.mkldnn._linear_pointwise.default
        self._pad = torch.constant_pad_nd
        self._tensor, self._float32, self._strided = torch.Tensor, torch.float32, torch.strided

    def __call__(self, input: Any) -> Any:  # noqa: A002 - as torch calls it, by which name callers may give it
        torch, parameters, weight = self._torch, self._layer._parameters, self._weight
        if (
            type(input) is not self._tensor
            or input.dtype is not self._float32
            or torch.is_grad_enabled()
            or torch.is_autocast_enabled("cpu")
            or torch.compiler.is_compiling()
            or torch.jit.is_tracing()
            or parameters.get("weight") is not weight
            or weight._version != self._version
            or weight.data_ptr() != self._at
            or not input.is_cpu
            or input.layout is not self._strided
        ):
            return self._plain(input)
        shape = input.shape
        width = shape[-1] if shape else 0
        if width != self._width or (rows := input.numel() // width) < self._least:
            return self._plain(input)
        whole = _rounded(rows)
        if whole == rows:
            return self._multiply(input, self._packed, parameters["bias"], "none", [], "")
        flat = self._pad(input.reshape(rows, width), (0, 0, 0, whole - rows))
        found = self._multiply(flat, self._packed, parameters["bias"], "none", [], "")[:rows]
        return found if len(shape) == 2 else found.view(*shape[:-1], found.shape[-1])

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of the layer computes with weights of its own, in its own way."""
        return _own_forward(copy.deepcopy(self._layer, memo))

    def __reduce__(self) -> Any:
        return _own_forward, (self._layer,)


def _own_forward(layer: Any) -> Any:
    """What the layer's class computes."""
    return types.MethodType(type(layer).forward, layer)


def _rounded(rows: int) -> int:
    """The next number of rows with code of its own.

    oneDNN makes code for each number of rows, in half a millisecond and half a megabyte; so there are few:
    powers of two, then multiples of 8, then four for each doubling.
    """
    if rows <= _EXACT:
        return 1 << (rows - 1).bit_length()
    step = 8 if rows <= _EVEN else 1 << ((rows - 1).bit_length() - 3)
    return -(-rows // step) * step
