"""Batches of zeros, with which a worker calls its methods before anybody waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..batching.padding import FIRST_BUCKET
from ..manifest import MethodSpec, PaddingSpec, TypeSpec


def warm_batches(method: MethodSpec, numbers: Sequence[int]) -> list[tuple[Any, ...]]:
    """Arguments for each number of rows in every bucket: a compiled model compiles for each. Empty when a
    shape or dtype is not known."""
    if not method.batch:
        return []
    padding = method.padding
    lengths: list[int | None] = [None] if padding is None else [*(padding.buckets or [FIRST_BUCKET])]
    made = [zeros(method, rows, length) for length in lengths for rows in numbers]
    return [args for args in made if args is not None]


def zeros(method: MethodSpec, rows: int = 1, length: int | None = None) -> tuple[Any, ...] | None:
    """Rows of zeros for each input; None when a shape or dtype is not known.

    Args:
        length: of what is padded; the true lengths stand last when the method takes them.
    """
    padding = method.padding
    inputs = method.inputs
    if padding is not None and padding.arguments:
        inputs = {name: inputs.get(name, TypeSpec(kind="")) for name in padding.arguments}
    made = [_zeros(spec, rows, _length_at(padding, name, length)) for name, spec in inputs.items()]
    if not made or any(value is None for value in made):
        return None
    if padding is not None and padding.lengths:
        made.append(np.full(rows, length, np.int64))
    return tuple(made)


def _length_at(padding: PaddingSpec | None, name: str, length: int | None) -> tuple[int, int]:
    """(axis, size) of what is padded in that input; (0, 0) for nothing."""
    if padding is None or length is None or (padding.values and name not in padding.values):
        return 0, 0
    return padding.axis, length


def _zeros(spec: TypeSpec, rows: int, padded: tuple[int, int]) -> Any:
    dtype = spec.dtype or (spec.dtypes[0] if spec.dtypes else "")
    if spec.kind not in ("array", "tensor") or not dtype or not spec.shape or spec.shape[0] == "...":
        return None
    shape: list[int | str] = [rows, *spec.shape[1:]]
    axis, length = padded
    if 0 < axis < len(shape):
        shape[axis] = length
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) < len(shape):
        return None
    if spec.kind == "array":
        return np.zeros(sizes, dtype)
    import torch

    return torch.zeros(sizes, dtype=getattr(torch, dtype))
