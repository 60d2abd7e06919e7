"""Texts → the likeliest classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InferenceError, InvalidInputError
from .labels import Label, ranked


@dataclass(frozen=True)
class TextClassification:
    """What goes before and after a model that takes texts."""

    top: int = 5
    """How many classes are told of each text."""
    most_characters: int = 10_000
    """A longer text is cut."""

    def prepare(self, texts: Sequence[str]) -> list[str]:
        """Texts as the model takes them: white space as single spaces, at most `most_characters`.

        Raises:
            InvalidInputError: there is none.
        """
        if not texts:
            raise InvalidInputError("there is no text")
        return [" ".join(text.split())[: self.most_characters] for text in texts]

    def results(self, outputs: Any, classes: Sequence[str] = ()) -> list[list[Label]]:
        """The likeliest classes of each text, the best first.

        Args:
            outputs: float[n, k]: scores; a dict of `label` and `score` for each text, or a list of such for
                each, as pipelines of transformers give; a word for each text.
            classes: the word for each class index.

        Raises:
            InferenceError: none of these.
        """
        first = outputs[0] if isinstance(outputs, Sequence) and len(outputs) else None
        if isinstance(first, (Mapping, list)) and not _numbers(first):
            return [self._named(row) for row in outputs]
        kind = getattr(getattr(outputs, "dtype", None), "kind", "")
        if isinstance(first, str) or kind in {"U", "O", "T"}:
            return [[Label(str(word), 1.0)] for word in outputs]
        return ranked(outputs, classes, top=self.top)

    def _named(self, row: Any) -> list[Label]:
        try:
            rows = [row] if isinstance(row, Mapping) else row
            found = [Label(str(one["label"]), float(one["score"])) for one in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise InferenceError(f"a text has {row!r}, which is no label with a score") from error
        return sorted(found, key=lambda label: -label.score)[: self.top]


def _numbers(row: Any) -> bool:
    return isinstance(row, list) and bool(row) and isinstance(row[0], (int, float))
