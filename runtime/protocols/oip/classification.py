"""The best classes of a tensor of scores, as texts `score:index` or `score:index:label`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....errors import InferenceError
from .. import byte_strings
from ..array_form import widened
from ..datatypes import BF16, BYTES
from ..tensor import Tensor


def classified(tensor: Tensor, best: int, labels: tuple[str, ...]) -> Tensor:
    """The `best` highest scores of each row, highest first; of equal ones the lower index first.

    Args:
        tensor: scores[rows, classes], or [classes]; axes behind the first count as one.
        best: 1 or more; fewer come when there are fewer classes.
        labels: used when they are as many as the classes.

    Returns:
        BYTES[rows, best], or [best].

    Raises:
        InferenceError: texts have no order as scores.
    """
    if tensor.datatype == BYTES:
        raise InferenceError(f"output {tensor.name!r} holds texts: only numbers can be classified")
    array = widened(tensor.array) if tensor.datatype == BF16 else tensor.array
    rows = array.reshape(1, -1) if array.ndim < 2 else array.reshape(len(array), math.prod(array.shape[1:]))
    texts = [_texts(row, best, labels) for row in rows]
    width = min(best, rows.shape[1])
    shape = (width,) if array.ndim < 2 else (len(rows), width)
    flat = [text for row in texts for text in row]
    return Tensor(tensor.name, BYTES, shape, byte_strings.as_array(flat, shape))


def _texts(row: np.ndarray[Any, Any], best: int, labels: tuple[str, ...]) -> list[bytes]:
    shown = "{:f}" if row.dtype.kind == "f" else "{:d}"
    known = len(labels) == len(row)
    texts = []
    for place in _descending(row)[:best].tolist():
        text = f"{shown.format(row[place].item())}:{place}"
        texts.append((f"{text}:{labels[place]}" if known else text).encode())
    return texts


def _descending(row: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Indices of the highest first; NaN last. Integers cannot be negated without loss."""
    if row.dtype.kind == "f":
        return np.argsort(-row, kind="stable")
    return len(row) - 1 - np.argsort(row[::-1], kind="stable")[::-1]
