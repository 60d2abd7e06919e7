"""The methods of a runner, as its dispatcher needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..manifest import MethodSpec, RunnerSpec
from .cost import Cost
from .decision import Policy
from .journal import Journal
from .limits import max_latency_s, max_rows, max_weight
from .padding import Padding
from .policy import AdaptivePolicy
from .request import Method


def methods_of(
    spec: RunnerSpec,
    policy: Callable[[MethodSpec], Policy] | None,
    costs: Mapping[str, Callable[..., Any]] | None,
) -> dict[str, Method]:
    """By name.

    Args:
        policy: makes the policy of each; None: `AdaptivePolicy`.
        costs: method to the function that weighs its calls, for those that have one.

    Raises:
        UsageError: a method is weighed by a function, and there is none.
    """
    make = policy or _learning(spec)
    methods = {}
    for name, method in spec.methods.items():
        full_name = f"{spec.name}.{name}"
        methods[name] = Method(
            name,
            method,
            max_rows(spec, method),
            max_weight(spec, method),
            make(method),
            Journal(),
            Cost(full_name, method, (costs or {}).get(name)) if method.cost else None,
            Padding(full_name, method) if method.padding is not None else None,
        )
    return methods


def _learning(spec: RunnerSpec) -> Callable[[MethodSpec], Policy]:
    """Makes the policy of each method; the crew tells it how many workers are up."""
    return lambda method: AdaptivePolicy(max_weight(spec, method), max_latency_s(spec, method), 1)
