"""Images of lines of text → the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import InferenceError
from .pixels import Pixels


@dataclass
class Reading:
    """The text of an image."""

    text: str
    score: float
    """How sure the model is of its characters, the mean; 0 to 1."""


@dataclass(frozen=True)
class Ocr:
    """What goes before and after a model that reads one line of text, trained with CTC."""

    pixels: Pixels = field(default_factory=lambda: Pixels(32, 256, channels=1, fit="left"))
    blank: int = 0
    """Number of the class that means no character; -1: the last one."""

    def prepare(self, images: Sequence[Any]) -> Any:
        """`PIL` images of one line each → the model's rows, as `Pixels.array`."""
        return self.pixels.array(images)

    def results(self, scores: Any, characters: Sequence[str]) -> list[Reading]:
        """The text of each image: the likeliest class of each step, repeats and blanks left out.

        Args:
            scores: float[n, steps, k] of the model: probabilities, or what comes before a softmax.
            characters: k - 1 of them, in the order of the classes without the blank.

        Raises:
            InferenceError: another form, or another number of characters.
        """
        array = np.asarray(scores)
        if array.ndim != 3 or array.shape[2] != len(characters) + 1:
            raise InferenceError(
                f"{len(characters)} characters need scores float[n, steps, {len(characters) + 1}], the model "
                f"gives {array.dtype}{list(array.shape)}"
            )
        array = array.astype(np.float64)
        sums = array.sum(axis=2)
        if array.min(initial=0.0) < 0 or np.any(np.abs(sums - 1) > 1e-3):
            array = np.exp(array - array.max(axis=2, keepdims=True))
            array /= array.sum(axis=2, keepdims=True)
        blank = array.shape[2] - 1 if self.blank == -1 else self.blank
        words = [*characters[:blank], "", *characters[blank:]]
        return [_read(row, words, blank) for row in array]


def _read(steps: np.ndarray[Any, Any], words: Sequence[str], blank: int) -> Reading:
    numbers = steps.argmax(axis=1)
    fresh = np.concatenate([[True], numbers[1:] != numbers[:-1]]) & (numbers != blank)
    places = np.flatnonzero(fresh)
    score = float(steps[places, numbers[places]].mean()) if len(places) else 1.0
    return Reading("".join(words[numbers[at]] for at in places), score)
