"""Texts, images or rows → vectors that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InferenceError

_NAMES = ("sentence_embedding", "embedding", "embeddings", "pooler_output", "last_hidden_state")
"""What models call the output with the vectors, the most fitting first."""


@dataclass(frozen=True)
class Embedding:
    """What goes after a model that gives vectors."""

    normalize: bool = True
    """Whether every vector gets the length 1, so that a scalar product is the cosine."""

    def vectors(self, outputs: Any) -> np.ndarray[Any, Any]:
        """A vector for each row.

        Args:
            outputs: float[n, d]; float[n, t, d], whose mean over t is taken; a dict with one of these.

        Returns:
            float32[n, d]

        Raises:
            InferenceError: another form.
        """
        if isinstance(outputs, Mapping):
            name = next((name for name in _NAMES if name in outputs), next(iter(outputs), ""))
            outputs = outputs.get(name)
        array = np.asarray(outputs)
        if array.dtype.kind not in "fiu" or array.ndim < 2:
            raise InferenceError(f"vectors are float[n, d], the model gives {array.dtype}{list(array.shape)}")
        array = array.astype(np.float64)
        array = array.mean(axis=1) if array.ndim == 3 else array.reshape(len(array), -1)
        if self.normalize:
            length = np.linalg.norm(array, axis=1, keepdims=True)
            array = np.divide(array, length, out=np.zeros_like(array), where=length > 0)
        return array.astype(np.float32)
