"""The methods of a runner class: which may be called, and what their marks and hints say."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ...errors import ServiceDefinitionError
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
        specs[name] = MethodSpec(
            batch=mark is not None,
            inputs=inputs,
            output=output,
            max_batch_size=mark.max_size if mark else None,
            max_latency_ms=mark.max_latency_ms if mark else None,
        )
    return specs


def _hinted(function: Callable[..., Any]) -> tuple[dict[str, TypeSpec], TypeSpec | None]:
    """Hints of runner methods are optional: they describe, they do not check."""
    where = f"{line_of(function)}: {function.__qualname__}"
    inputs: dict[str, TypeSpec] = {}
    output: TypeSpec | None = None
    try:
        inputs = dict(Inputs.of(function, where=where).specs)
        output = Output.of(function, where=where).spec
    except ServiceDefinitionError:
        return inputs, output
    return inputs, output
