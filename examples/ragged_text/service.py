"""Puts the spaces back into text that lost them."""

from __future__ import annotations

import numpy as np

import tiffin


@tiffin.service
class Spaces:
    """Puts the spaces back into English text that lost them."""

    network = tiffin.runner("spaces:latest", workers=1)

    @tiffin.api
    async def read(self, text: str) -> str:
        """One text, its letters only; up to 1,024 of them. Batched with texts of about that length."""
        scores = await self.network.predict.one(numbers(text))
        return spaced(text, scores)

    @tiffin.api
    async def read_many(self, texts: list[str]) -> list[str]:
        """Texts of any lengths in one call."""
        found = await self.network.predict([numbers(text) for text in texts])
        return [spaced(text, scores) for text, scores in zip(texts, found, strict=True)]


def numbers(text: str) -> np.ndarray:
    """a is 1, z is 26: int64[letters]."""
    codes = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - 96
    if codes.size == 0 or codes.min() < 1 or codes.max() > 26:
        raise tiffin.errors.InvalidInputError("send letters from a to z", path="$.text")
    return codes


def spaced(text: str, scores: np.ndarray) -> str:
    words = (letter + " " if score > 0.5 else letter for letter, score in zip(text, scores, strict=True))
    return "".join(words).strip()
