"""A named array as every tensor protocol means it, and what is asked of one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


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
