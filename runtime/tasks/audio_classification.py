"""Recordings → the likeliest classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..schema.file import File
from .labels import Label, ranked
from .sound import Sound


@dataclass(frozen=True)
class AudioClassification:
    """What goes before and after a model that gives scores of classes for recordings."""

    sound: Sound = field(default_factory=Sound)
    top: int = 5
    """How many classes are told of each recording."""

    def prepare(self, recordings: Sequence[File]) -> Any:
        """Audio files → the model's rows, as `Sound.array`."""
        return self.sound.array(list(recordings))

    def results(self, scores: Any, classes: Sequence[str] = ()) -> list[list[Label]]:
        """The likeliest classes of each recording, the best first.

        Args:
            scores: float[n, k] of the model.
            classes: the word for each class index.

        Raises:
            InferenceError: no scores of classes, or another number of them than there are words.
        """
        return ranked(scores, classes, top=self.top)
