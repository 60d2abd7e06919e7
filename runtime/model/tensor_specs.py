"""Signatures that graphs tell of themselves: names, dtypes and shapes with sizes that vary."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from ..manifest import MethodSpec, TypeSpec
from .signature import BATCH_AXIS


def array_type(dtype: Any, shape: Iterable[int | None] | None) -> TypeSpec:
    """
    Args:
        dtype: `float32`, of any library.
        shape: None in it: a size that varies; None: of any number of axes.
    """
    sizes: list[int | str] | None = None
    if shape is not None:
        sizes = [
            (BATCH_AXIS if axis == 0 else f"s{axis}") if size is None else int(size)
            for axis, size in enumerate(shape)
        ]
    return TypeSpec(kind="array", dtype=dtype if isinstance(dtype, str) else dtype.name, shape=sizes)


def fixed_rows(spec: MethodSpec, rows: int) -> None:
    """Batches of just so many rows, filled up: the graph was made for no other number."""
    spec.sizes, spec.max_batch_size = [rows], rows
    for kind in [*spec.inputs.values(), *([spec.output] if spec.output else [])]:
        if kind.shape:
            kind.shape = [BATCH_AXIS, *kind.shape[1:]]


def named(names: Iterable[str]) -> Any:
    """A function with these parameters, from which `describe_call` takes the names of the inputs."""

    def call(*args: Any, **kwargs: Any) -> None: ...

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name if name.isidentifier() else "x", kind) for name in names]
    if len({one.name for one in parameters}) == len(parameters):
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return call
