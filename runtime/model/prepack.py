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
import weakref
from dataclasses import dataclass
from functools import partial
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
_SAMPLED = 8
"""Weights that are compared in each call: a change through `.data` leaves the version as it was."""


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

    Weights, state dict and classes stay as they are; copies and pickles are of plain layers. A layer's packed
    weights are used for what they were made for: float32 rows on the CPU, without gradients, tracing or
    autocast; everything else, and every call after the weights were changed, goes the layer's own way. A few
    numbers written through `.data` or numpy are not seen: write within `torch.no_grad()`.

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
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
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
    if not {"weight", "bias"} <= part._parameters.keys():
        return False
    weight, bias = part._parameters["weight"], part._parameters["bias"]
    given = [weight] if bias is None else [weight, bias]
    # A class of their own may hold other numbers than it shows, as quantized ones do.
    if not all(
        type(one) is torch.nn.Parameter
        and one.dtype is torch.float32
        and one.is_cpu
        and one.layout is torch.strided
        and not one.is_inference()
        for one in given
    ):
        return False
    if weight.dim() != 2 or weight.numel() < _LEAST:
        return False
    # oneDNN reads a bias as so many numbers in a row, whatever it is.
    return bias is None or (bias.shape == weight.shape[:1] and bias.is_contiguous())


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
    width = layer.weight.shape[1]
    trial = torch.linspace(-1, 1, _EXACT * width, dtype=torch.float32, device="cpu").view(_EXACT, width)
    try:
        forward = _Forward(layer, packed, torch)
        found = forward.multiplied(trial)
        right = torch.nn.Linear.forward(layer, trial)
        largest = float(right.abs().nan_to_num(0, 0, 0).max())
        same = torch.allclose(found, right, rtol=0, atol=_TOLERANCE * largest, equal_nan=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        log.debug("a layer %s stays as it is: %s", layer, error)
        return False
    if not same:
        log.warning("oneDNN computes something else for a layer %s, which stays as it is", layer)
        return False
    layer.forward = forward
    # Python asks the object itself for its state: copies and pickles then have plain layers.
    layer.__getstate__ = forward.state
    return True


class _Held:
    """A parameter as it is now. It keeps the memory, which else might be that of other numbers later."""

    def __init__(self, parameter: Any) -> None:
        self._data, self._at = parameter.detach(), parameter.data_ptr()

    def same(self, parameter: Any) -> bool:
        """Whether the parameter still lies there, in that shape."""
        return parameter.is_cpu and parameter.data_ptr() == self._at and bool(parameter.is_set_to(self._data))


class _Forward:
    """Stands as `forward` in one layer."""

    def __init__(self, layer: Any, packed: Any, torch: Any) -> None:
        # Not the layer itself: whoever drops it has its memory back at once.
        self._layer, self._parameters = weakref.ref(layer), layer._parameters
        self._packed, self._torch = packed, torch
        self._classes = (type(layer), type(None))
        self._weight, self._bias = weight, bias = layer._parameters["weight"], layer._parameters["bias"]
        self._version, self._width = weight._version, weight.shape[1:]
        self._held = _Held(weight)
        self._bias_held: Any = None if bias is None else _Held(bias)
        # As integers, of which each is equal to itself.
        self._sample = weight.detach().diagonal()[:: max(1, min(weight.shape) // _SAMPLED)].view(torch.int32)
        self._sampled = self._sample.clone()
        self._least = weight.shape[1] * (1 if weight.numel() >= _LEAST_FOR_ONE_ROW else 2)
        self._multiply = torch.ops.mkldnn._linear_pointwise.default
        self._pad, self._equal = torch.constant_pad_nd, torch.equal
        self._tensor, self._float32, self._strided = torch.Tensor, torch.float32, torch.strided
        self._elsewhere = _questions(torch)

    def __call__(self, input: Any) -> Any:  # noqa: A002 - as torch calls it, by which name callers may give it
        torch = self._torch
        if (
            torch.compiler.is_compiling()
            or type(input) is not self._tensor
            or torch.is_grad_enabled()
            or input.dtype is not self._float32
            or not input.is_cpu
            or input.layout is not self._strided
            or input.is_nested
            or input.numel() < self._least
            or input.shape[-1:] != self._width
            or not self._unchanged()
        ):
            return self._plain(input)
        for question in self._elsewhere:
            if question():
                return self._plain(input)
        try:
            return self.multiplied(input)
        except RuntimeError as error:  # memory may be short, for one
            log.debug("a layer goes its own way: %s", error)
            return self._plain(input)

    def _plain(self, rows: Any) -> Any:
        """What the layer's class computes."""
        layer = self._layer()
        if layer is not None:
            return type(layer).forward(layer, rows)
        weight, bias = self._parameters["weight"], self._parameters["bias"]
        return self._torch.nn.functional.linear(rows, weight, bias)

    def _unchanged(self) -> bool:
        """Whether the layer still has the weight that is packed."""
        parameters, weight, bias = self._parameters, self._weight, self._bias
        return (
            parameters.get("weight") is weight
            and parameters.get("bias", weight) is bias
            and weight._version == self._version
            and type(self._layer()) in self._classes
            and self._held.same(weight)
            and (bias is None or self._bias_held.same(bias))
            and self._equal(self._sample, self._sampled)
        )

    def multiplied(self, rows: Any) -> Any:
        """The answer to a row or more, by the packed weight."""
        shape, (width,) = rows.shape, self._width
        number = rows.numel() // width
        whole = _rounded(number)
        if whole == number:
            return self._multiply(rows, self._packed, self._bias, "none", [], "")
        flat = self._pad(rows.reshape(number, width), (0, 0, 0, whole - number))
        found = self._multiply(flat, self._packed, self._bias, "none", [], "")[:number]
        return found if len(shape) == 2 else found.view(*shape[:-1], found.shape[-1])

    def state(self) -> dict[str, Any]:
        """What a copy or a pickle of the layer holds: all but this."""
        own = {} if (layer := self._layer()) is None else layer.__dict__
        return {
            name: value
            for name, value in own.items()
            if name != "__getstate__" and not (name == "forward" and value is self)
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of the layer computes with weights of its own, in its own way."""
        layer: Any = copy.deepcopy(self._layer(), memo)
        return types.MethodType(type(layer).forward, layer)

    def __reduce__(self) -> Any:
        return getattr, (self._layer(), "forward")  # of its class, while a pickle is read


def _questions(torch: Any) -> list[Any]:
    """What says that a call is not just to be computed: each answers something true then.

    Lower precision, tracing, modes that see each operation, and derivatives that are carried along, which
    `no_grad` does not stop. Some are not public: a torch without them is asked the rest.
    """
    try:
        torch.is_autocast_enabled("cpu")
        autocast = partial(torch.is_autocast_enabled, "cpu")
    except TypeError:  # torch 2.3
        autocast = torch.is_autocast_cpu_enabled
    forward_ad = torch.autograd.forward_ad
    modes = getattr(torch._C, "_len_torch_dispatch_stack", None)
    transforms = getattr(getattr(torch._C, "_functorch", None), "peek_interpreter_stack", None)
    questions = [autocast, torch.jit.is_tracing, modes, transforms]
    if hasattr(forward_ad, "_current_level"):
        questions.append(lambda: forward_ad._current_level >= 0)
    return [question for question in questions if question is not None]


def _rounded(rows: int) -> int:
    """The next number of rows with code of its own.

    oneDNN makes code for each number of rows, in half a millisecond and half a megabyte; so there are few:
    powers of two, then multiples of 8, then four for each doubling.
    """
    if rows <= _EXACT:
        return 1 << (rows - 1).bit_length()
    step = 8 if rows <= _EVEN else 1 << ((rows - 1).bit_length() - 3)
    return -(-rows // step) * step
