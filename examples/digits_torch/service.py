"""Reads handwritten digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from PIL import Image

import tiffin


class Reader:
    """Runs in the worker: constructed once, then called with the rows of many callers at once."""

    def __init__(self) -> None:
        self.model = tiffin.models.get("digits:latest")
        self.network: Any = self.model.load(device="auto")

    @tiffin.batch(max_size=128)
    def read(self, images: Float32[np.ndarray, "n 8 8"]) -> Float32[np.ndarray, "n 10"]:
        import torch  # only workers import the framework; the API process stays small

        with torch.inference_mode():
            device = next(self.network.parameters()).device
            logits = self.network(torch.from_numpy(images)[:, None].to(device))
            return logits.softmax(dim=1).cpu().numpy()  # type: ignore[no-any-return]


@dataclass
class Answer:
    digit: int
    probability: float


@tiffin.service
class Digits:
    """Reads handwritten digits of 8 x 8 grey pixels."""

    reader = tiffin.runner(Reader, models=["digits:latest"], workers=1)

    @tiffin.api
    async def read(self, image: Float32[np.ndarray, "8 8"]) -> Answer:
        """One digit; pixels from 0 (white) to 1 (black). Batched with whoever else asks at the same time."""
        row = await self.reader.read.one(image)
        return Answer(int(row.argmax()), float(row.max()))

    @tiffin.api
    async def read_many(self, images: Float32[np.ndarray, "n 8 8"]) -> Int64[np.ndarray, "n"]:
        """Many digits in one call."""
        rows = await self.reader.read(images)
        return rows.argmax(axis=1)  # type: ignore[no-any-return]

    @tiffin.api
    async def read_picture(self, picture: Image.Image) -> Answer:
        """A picture of any size, dark ink on a light ground."""
        grey = picture.convert("L").resize((8, 8), Image.Resampling.BILINEAR)
        return await self.read(1 - np.asarray(grey, dtype=np.float32) / 255)
