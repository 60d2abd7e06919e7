"""A named array as every tensor protocol means it, and what is asked of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import InvalidInputError

_MOST = 2**59
"""Elements of 8 bytes that numpy can count; it looks at axes of size 0 as if they had size 1."""


class Tensor(NamedTuple):
    name: str
    datatype: str
    """`FP32` …: one of `datatypes.DATATYPES`."""
    shape: tuple[int, ...]
    array: np.ndarray[Any, Any]
    """Of `shape`, in C order and the little-endian dtype of `datatypes.DTYPES`: uint16 bits for BF16, an
    object array of `bytes` for BYTES. May be a view of the request."""


class TensorSpec(NamedTuple):
    name: str
    datatype: str
    shape: tuple[int, ...]
    """-1 for an axis of any size."""
    optional: bool = False


def check_extent(shape: Sequence[int], path: str) -> None:
    """Raises InvalidInputError for a shape that no array has: with an axis of size 0 it needs no bytes, and
    nothing else would notice."""
    if math.prod(size or 1 for size in shape) > _MOST:
        raise InvalidInputError(f"shape {list(shape)[:8]} is larger than any array", path=path)
