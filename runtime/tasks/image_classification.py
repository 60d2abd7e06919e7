"""Images → the likeliest classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .labels import Label, ranked
from .pixels import Pixels


@dataclass(frozen=True)
class ImageClassification:
    """What goes before and after a model that gives scores of classes for images."""

    pixels: Pixels = field(default_factory=Pixels)
    top: int = 5
    """How many classes are told of each image."""

    def prepare(self, images: Sequence[Any]) -> Any:
        """`PIL` images → the model's rows, as `Pixels.array`."""
        return self.pixels.array(images)

    def results(self, scores: Any, classes: Sequence[str] = ()) -> list[list[Label]]:
        """The likeliest classes of each image, the best first.

        Args:
            scores: float[n, k] of the model: probabilities, or what comes before a softmax.
            classes: the word for each class index.

        Raises:
            InferenceError: no scores of classes, or another number of them than there are words.
        """
        return ranked(scores, classes, top=self.top)
