"""Scores → words: what a classifier gives, as the caller reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InferenceError

_TOLERANCE = 1e-3
"""How far rows of probabilities may be from a sum of 1: float16 and roundings of models."""


@dataclass
class Label:
    """A class and how sure the model is of it."""

    label: str
    """The word for the class; its index where there are no words."""
    score: float
    """Probability, 0 to 1."""


def probabilities(scores: Any) -> np.ndarray[Any, Any]:
    """Scores of classes as probabilities.

    Args:
        scores: float[n, k]: probabilities, or what comes before a softmax (any other numbers); float[n] and
            float[n, 1]: of the second of two classes, a probability or a logit. A list of dicts by class is
            taken, too.

    Returns:
        float64[n, k], each row with a sum of 1.

    Raises:
        InferenceError: another shape, or no numbers.
    """
    if isinstance(scores, list) and scores and isinstance(scores[0], Mapping):  # as of ONNX
        scores = [list(row.values()) for row in scores]
    array = np.asarray(scores)
    if array.dtype.kind not in "fiub" or array.ndim not in {1, 2}:
        raise InferenceError(
            f"scores of classes are float[n, k], the model gives {array.dtype}{list(array.shape)}"
        )
    array = array.astype(np.float64)
    if array.ndim == 1 or array.shape[1] == 1:
        second = array.reshape(-1)
        if not _within_one(second):
            second = 1.0 / (1.0 + np.exp(-np.clip(second, -700, 700)))
        return np.stack([1.0 - second, second], axis=1)
    if _within_one(array) and np.all(np.abs(array.sum(axis=1) - 1.0) < _TOLERANCE):
        return array
    shifted = np.exp(array - array.max(axis=1, keepdims=True))
    softmax: np.ndarray[Any, Any] = shifted / shifted.sum(axis=1, keepdims=True)
    return softmax


def labelled(scores: Any, classes: Sequence[str] = ()) -> list[Label]:
    """The likeliest class of each row.

    Args:
        scores: as `probabilities` takes them.
        classes: the word for each class index; none: the index is the label.

    Raises:
        InferenceError: no scores of classes, or another number of them than there are words.
    """
    return [best[0] for best in ranked(scores, classes, top=1)]


def ranked(scores: Any, classes: Sequence[str] = (), *, top: int = 5) -> list[list[Label]]:
    """The likeliest classes of each row, the best first.

    Args:
        scores: as `probabilities` takes them.
        classes: the word for each class index; none: the index is the label.
        top: how many; fewer come when there are fewer classes.

    Raises:
        InferenceError: no scores of classes, or another number of them than there are words.
    """
    shares = probabilities(scores)
    count = shares.shape[1]
    if classes and len(classes) != count:
        raise InferenceError(f"the model gives {count} scores and there are {len(classes)} words for classes")
    order = np.argsort(-shares, axis=1, kind="stable")[:, : max(1, top)]
    return [
        [Label(classes[index] if classes else str(index), float(row[index])) for index in best]
        for row, best in zip(shares, order.tolist(), strict=True)
    ]


def _within_one(array: np.ndarray[Any, Any]) -> bool:
    return bool(np.all((array >= 0.0) & (array <= 1.0 + _TOLERANCE)))
