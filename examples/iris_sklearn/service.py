"""Names an iris flower from its four measurements."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

import tiffin


@tiffin.service
class Iris:
    """Names an iris flower from its four measurements."""

    classifier = tiffin.runner("iris:latest", workers=1, max_batch_size=64)

    @tiffin.api
    async def classify(self, flowers: Float32[np.ndarray, "n 4"]) -> list[str]:
        """Species of each flower: sepal length and width, petal length and width, in cm."""
        classes = await self.classifier.predict(flowers)
        return [self.classifier.model.classes[i] for i in classes]

    @tiffin.api
    async def probabilities(self, flowers: Float32[np.ndarray, "n 4"]) -> list[dict[str, float]]:
        """How sure the model is of each species."""
        rows = await self.classifier.predict_proba(flowers)
        return [dict(zip(self.classifier.model.classes, row.tolist(), strict=True)) for row in rows]
