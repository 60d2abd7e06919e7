"""Calling torch modules: one place for `nn.Module` and TorchScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary, ref

from ...errors import MissingDependencyError, ModelError
from ..manifest import MethodSpec
from .example import Example
from .signature import describe_call
from .tensors import from_tensors, holds_tensor, to_tensors

Run = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""Takes a module, a function of it, positional and keyword arguments."""


def torch_or_error() -> Any:
    """The library.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", "torch") from error
    return torch


def best_device(device: str) -> Any:
    """`auto` is the first CUDA device that this process may see, else Apple's GPU, else the CPU.

    Raises:
        ModelError: no such device here.
    """
    torch = torch_or_error()
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"bad device {device!r}: use auto, cpu, cuda, cuda:1 … or mps") from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"device {device!r} is not here: torch sees {torch.cuda.device_count()} CUDA devices"
        )
    return found


def methods(module: Any) -> list[str]:  # noqa: ARG001 - the same for every module
    """`predict` is the module's own method, or else the call."""
    return ["predict", "__call__"]


def call(module: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    """One inference in `inference_mode`: arrays in, arrays out; CPU tensors out when tensors came in."""
    return run(module, bound(module, method), args, kwargs)


def run(module: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same with a function that stands for a method of the module, such as its compiled form."""
    torch = torch_or_error()
    device, dtype = place_of(module)
    keep = holds_tensor(args) or (bool(kwargs) and holds_tensor(kwargs))
    with torch.inference_mode():
        result = function(*to_tensors(args, device, dtype), **to_tensors(kwargs, device, dtype))
        return from_tensors(result, keep=keep)


def bound(module: Any, method: str) -> Any:
    """The module's method; `predict` is the call where it has none.

    Raises:
        ModelError: it has no such method.
    """
    if method == "__call__":
        return module
    function = getattr(module, method, None)
    if callable(function):
        return function
    if method == "predict":
        return module
    raise ModelError(f"{type(module).__qualname__} has no method {method!r}")


def describe(
    module: Any, method: str, example: Example | None, run: Callable[..., Any] | None = None
) -> MethodSpec:
    """Runs the example in eval mode; the module is in its old mode afterwards.

    Args:
        module: what is described.
        method: of it.
        example: None: nothing is run.
        run: in place of `call`, with the same arguments.
    """
    if example is None:
        return MethodSpec()
    function = bound(module, method)
    with evaluating(module):
        result = (run or call)(module, method, *example.args, **example.kwargs)
    return describe_call(
        getattr(module, "forward", function) if function is module else function, example, result
    )


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Eval mode within; afterwards each sub-module trains as before. A frozen one has no mode."""
    before = [(part, part.training) for part in module.modules() if hasattr(part, "training")]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def device_of(module: Any) -> Any:
    """`torch.device` of its first parameter or buffer; the CPU for one that has none."""
    return place_of(module)[0]


_telling: WeakKeyDictionary[Any, tuple[ref[Any], ref[Any]]] = WeakKeyDictionary()
"""Module to its first parameter or buffer and its first floating one; to look for them takes as long as a
small layer. They follow a module that is moved; when they are replaced, they are looked for again."""


def place_of(module: Any) -> tuple[Any, Any]:
    """Device of the first parameter or buffer, dtype of the first floating one; None where there is none."""
    known = _telling.get(module)
    if known is not None:
        first, floating = known[0](), known[1]()
        if first is not None and floating is not None:
            return first.device, floating.dtype
    torch = torch_or_error()
    first = None
    for tensor in chain(module.parameters(), module.buffers()):
        first = tensor if first is None else first
        if tensor.is_floating_point():
            _telling[module] = ref(first), ref(tensor)
            return first.device, tensor.dtype
    return (torch.device("cpu") if first is None else first.device), None
