"""Two runners, scaled apart: two processes clean pictures, one process of the model names them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

import tiffin


class Cleaner:
    """First stage, no model: takes out each picture's brightness and contrast."""

    @tiffin.batch(max_size=256)
    def clean(self, images: Float32[np.ndarray, "n 8 8"]) -> Float32[np.ndarray, "n 64"]:
        rows = images.reshape(len(images), 64)
        centred = rows - rows.mean(axis=1, keepdims=True)
        spread = centred.std(axis=1, keepdims=True)
        return (centred / np.maximum(spread, 1e-6)).astype(np.float32)


@tiffin.service
class TwoStage:
    """Names digits in two stages; the result of the first runner feeds the second."""

    cleaner = tiffin.runner(Cleaner, workers=2)
    machine = tiffin.runner("digits-svm:latest", workers=1, max_batch_size=128)

    @tiffin.api
    async def read(self, images: Float32[np.ndarray, "n 8 8"]) -> list[str]:
        """Digits of pictures of 8 x 8 pixels, any brightness."""
        features = await self.cleaner.clean(images)
        classes = await self.machine.predict(features)
        return [self.machine.model.classes[i] for i in classes]
