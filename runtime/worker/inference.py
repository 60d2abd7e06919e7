"""The object that a worker serves: a stored model, or an instance of the user's runner class."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ModelError, ServiceDefinitionError
from ..manifest import MethodSpec, RunnerSpec, TypeSpec
from ..schema.convert import convert, has_class, hints_of
from ..supervisor.control import Target

log = logging.getLogger("tiffin.worker")

Run = Callable[..., Any]


class Inference:
    """Methods by name, called one at a time from one thread.

    Args:
        spec: the runner.
        methods: the functions behind the names of `spec.methods`.
    """

    def __init__(self, spec: RunnerSpec, methods: dict[str, Run]) -> None:
        self.spec = spec
        self._methods = methods

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a method.

        Raises:
            Exception: whatever the method raises.
        """
        return self._methods[method](*args, **kwargs)

    def warm(self) -> None:
        """Runs every batch method whose input shapes are known on one row of zeros.

        The first call of a model is often many times slower than the next: libraries load, kernels compile.
        Code that does not like zeros is no error.
        """
        for name, method in self.spec.methods.items():
            args = zeros(method) if method.batch else None
            if args is None:
                continue
            try:
                self.call(name, args, {})
            except Exception as error:  # noqa: BLE001 - user code
                log.info("warming %s.%s with zeros raised %r", self.spec.name, name, error)


def zeros(method: MethodSpec) -> tuple[Any, ...] | None:
    """One row of zeros for each input; None when a shape or dtype is not known."""
    made = [_zeros(spec) for spec in method.inputs.values()]
    return None if not made or any(value is None for value in made) else tuple(made)


def _zeros(spec: TypeSpec) -> Any:
    dtype = spec.dtype or (spec.dtypes[0] if spec.dtypes else "")
    if spec.kind not in ("array", "tensor") or not dtype or not spec.shape:
        return None
    axis, *row = spec.shape
    if axis == "..." or not all(isinstance(size, int) for size in row):
        return None
    shape = [1, *(size for size in row if isinstance(size, int))]
    if spec.kind == "array":
        return np.zeros(shape, dtype)
    import torch

    return torch.zeros(shape, dtype=getattr(torch, dtype))


def load(target: Target, spec: RunnerSpec) -> Inference:
    """Loads what the runner serves.

    Raises:
        TiffinError: the model or the class cannot be loaded; says why.
        Exception: the user's class raised while it was made.
    """
    from ..service.load import load_service

    if spec.model:
        # A model needs no user code, except for a pickle that refers to it: its folder must be importable.
        import sys

        sys.path[:] = [target.source, *(entry for entry in sys.path if entry != target.source)]
        return Inference(spec, _model_methods(spec))
    service = load_service(target)
    runner = getattr(service, spec.name, None)
    if runner is None or not hasattr(runner, "construct"):
        raise ServiceDefinitionError(
            f"{target.service} has no runner {spec.name!r}; it was renamed while serving"
        )
    made = runner.construct()
    return Inference(spec, {name: typed(getattr(made, name)) for name in spec.methods})


def _model_methods(spec: RunnerSpec) -> dict[str, Run]:
    from ..model.find import find
    from ..model.framework import framework

    model = find(spec.model)
    loaded = model.load(device="auto")
    call = framework(model.info.framework).call

    def bind(name: str) -> Run:
        return lambda *args, **kwargs: call(loaded, name, *args, **kwargs)

    missing = [name for name in spec.methods if name not in model.info.methods]
    if missing:
        raise ModelError(
            f"model {spec.model} has no method {missing[0]!r}; it has {', '.join(model.info.methods)}"
        )
    return {name: bind(name) for name in spec.methods}


def typed(method: Run) -> Run:
    """The method, given arguments of the classes in its hints instead of the maps that crossed the socket."""
    try:
        parameters = list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):
        return method  # a callable of C code says nothing of its parameters
    hints = hints_of(method)
    rebuilt = {p.name: hints[p.name] for p in parameters if p.name in hints and has_class(hints[p.name])}
    if not rebuilt:
        return method
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]

    def typed(*args: Any, **kwargs: Any) -> Any:
        made = [
            convert(value, rebuilt[name]) if name in rebuilt else value
            for name, value in zip(positional, args, strict=False)
        ]
        named = {
            name: convert(value, rebuilt[name]) if name in rebuilt else value
            for name, value in kwargs.items()
        }
        return method(*made, *args[len(made) :], **named)

    return typed
