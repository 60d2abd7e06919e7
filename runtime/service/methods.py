"""The methods of a runner class: which may be called, and what their marks and hints say."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from ...errors import ServiceDefinitionError
from ..batching.ragged import LENGTHS
from ..manifest import MethodSpec, TypeSpec
from ..schema.inputs import Inputs
from ..schema.outputs import Output
from .batch import batch_mark
from .where import line_of

RESERVED = frozenset({"model"})
"""What `self.<runner>` offers besides methods."""


def public_methods(cls: type) -> dict[str, Callable[..., Any]]:
    """The methods of a runner class that a service may call, those of a base class first."""
    found: dict[str, Callable[..., Any]] = {}
    for owner in reversed(cls.__mro__[:-1]):
        for name in vars(owner):
            value = inspect.getattr_static(cls, name)
            if not name.startswith("_") and inspect.isfunction(value):
                found[name] = value
    return found


def method_specs(cls: type) -> dict[str, MethodSpec]:
    """What the methods of a runner class take and give, as far as their hints tell."""
    specs = {}
    for name, function in public_methods(cls).items():
        mark = batch_mark(function)
        inputs, output = _hinted(function)
        spec = MethodSpec(batch=False, inputs=inputs, output=output)
        specs[name] = spec if mark is None else mark.describe(spec)
    return specs


def cost_functions(cls: type | None) -> dict[str, Callable[..., Any]]:
    """Method to the function that weighs its calls, for those that have one; none for a stored model."""
    found = {}
    for name, function in public_methods(cls).items() if cls is not None else ():
        mark = batch_mark(function)
        if mark is not None and callable(mark.cost):
            found[name] = mark.cost
    return found


def _asked_for(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method as callers see it: without the `lengths` that it is given."""
    mark = batch_mark(function)
    if mark is None or mark.padding is None or not mark.padding.lengths:
        return function
    seen: Any = FunctionType(function.__code__, function.__globals__, function.__name__)
    signature = inspect.signature(function)
    seen.__signature__ = signature.replace(
        parameters=[each for name, each in signature.parameters.items() if name != LENGTHS]
    )
    return seen  # type: ignore[no-any-return]


def _hinted(function: Callable[..., Any]) -> tuple[dict[str, TypeSpec], TypeSpec | None]:
    """Hints of runner methods are optional: they describe, they do not check."""
    where = f"{line_of(function)}: {function.__qualname__}"
    inputs: dict[str, TypeSpec] = {}
    output: TypeSpec | None = None
    try:
        inputs = dict(Inputs.of(_asked_for(function), where=where).specs)
        output = Output.of(function, where=where).spec
    except ServiceDefinitionError:
        return inputs, output
    return inputs, output
