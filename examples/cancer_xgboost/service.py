"""Tells malignant from benign cell nuclei."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

import tiffin


@dataclass
class Diagnosis:
    label: str
    probability: float


@tiffin.service
class Cancer:
    """Tells malignant from benign cell nuclei by thirty measurements of a biopsy image."""

    trees = tiffin.runner("cancer:latest", workers=1, max_batch_size=128)

    @tiffin.api
    async def diagnose(self, nuclei: Float64[np.ndarray, "n 30"]) -> list[Diagnosis]:
        """The likelier label of each nucleus and its probability."""
        classes = self.trees.model.classes
        rows = await self.trees.predict_proba(nuclei)
        return [Diagnosis(classes[int(row.argmax())], float(row.max())) for row in rows]
