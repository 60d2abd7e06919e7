"""The services of the comparison, as a user would write them."""

from __future__ import annotations

import numpy as np
import reference_models
from jaxtyping import Float32

import tiffin


@tiffin.service
class Iris:
    """A saved scikit-learn model."""

    classifier = tiffin.runner("iris:latest", max_batch_size=reference_models.BATCH, threads=1)

    @tiffin.api
    async def classify(self, flowers: Float32[np.ndarray, "n 4"]) -> list[str]:
        classes = await self.classifier.predict(flowers)
        return [self.classifier.model.classes[i] for i in classes]


@tiffin.service
class Mlp:
    """A saved torch network."""

    network = tiffin.runner("mlp:latest", max_batch_size=reference_models.BATCH, threads=1)

    @tiffin.api
    async def predict(self, x: Float32[np.ndarray, "n 784"]) -> Float32[np.ndarray, "n 10"]:
        logits: np.ndarray = await self.network.predict(x)
        return logits


@tiffin.service
class MlpAsItIs(Mlp):
    """The same, computed by torch's own way only."""

    network = tiffin.runner("mlp:latest", max_batch_size=reference_models.BATCH, threads=1, prepack=False)


class Sleeper:
    def __init__(self) -> None:
        self.model = reference_models.load("slow")

    @tiffin.batch(max_size=reference_models.BATCH)
    def double(self, x: Float32[np.ndarray, "n 1"]) -> Float32[np.ndarray, "n 1"]:
        doubled: np.ndarray = self.model(x)
        return doubled


@tiffin.service
class Slow:
    """10 ms + 0.1 ms a row."""

    sleeper = tiffin.runner(Sleeper)

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n 1"]) -> Float32[np.ndarray, "n 1"]:
        doubled: np.ndarray = await self.sleeper.double(x)
        return doubled


class Mirror:
    def same(self, x: Float32[np.ndarray, "n m"]) -> Float32[np.ndarray, "n m"]:
        return x


@tiffin.service
class Echo:
    """A large array to the worker and back."""

    mirror = tiffin.runner(Mirror)

    @tiffin.api
    async def same(self, x: Float32[np.ndarray, "n m"]) -> Float32[np.ndarray, "n m"]:
        array: np.ndarray = await self.mirror.same(x)
        return array
