"""A service for callers of other protocols: rows, single things, files, words; and a way to ask it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from http_server import Client, post
from jaxtyping import Float32
from PIL import Image

import tiffin


@dataclasses.dataclass
class Guess:
    label: str
    score: float


@tiffin.service(name="foreign")
class Foreign:
    @tiffin.api
    async def half(self, x: Float32[np.ndarray, "n"], plus: float = 2.0) -> Float32[np.ndarray, "n"]:
        return x / 2 + np.float32(plus)

    @tiffin.api
    async def pair(self, a: Float32[np.ndarray, "n"], b: list[str]) -> dict[str, list[str]]:
        return {"both": [f"{word}{number:g}" for number, word in zip(a, b, strict=True)], "words": b}

    @tiffin.api
    def one(self, text: str) -> str:
        return text.upper()

    @tiffin.api
    async def size(self, image: Image.Image) -> list[int]:
        return [image.width, image.height]

    @tiffin.api
    async def thumbs(self, images: list[bytes]) -> list[int]:
        return [len(image) for image in images]

    @tiffin.api
    async def scores(self, x: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n 2"]:
        return x / x.sum(axis=1, keepdims=True)

    @tiffin.api
    async def guess(self, x: Float32[np.ndarray, "n 2"]) -> list[Guess]:
        return [Guess("rose" if row[0] > row[1] else "iris", float(row.max())) for row in x]

    @tiffin.api
    async def names(self, x: Float32[np.ndarray, "n 2"]) -> list[str]:
        return ["rose" if row[0] > row[1] else "iris" for row in x]

    @tiffin.api
    async def stream(self, n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number

    @tiffin.api
    async def echo_bytes(self, content: bytes) -> bytes:
        return content

    @tiffin.api
    async def fail(self, x: float) -> float:
        raise ValueError(f"no {x}")

    @tiffin.api
    async def add(self, x: float, y: float) -> float:
        return x + y


def png(width: int = 3, height: int = 2) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def form(*parts: tuple[str, str, bytes], boundary: str = "xYx") -> tuple[bytes, str]:
    """A multipart body of (disposition, media type, content), and its header."""
    body = b""
    for disposition, media_type, content in parts:
        kind = f"content-type: {media_type}\r\n" if media_type else ""
        head = f"--{boundary}\r\ncontent-disposition: form-data; {disposition}\r\n{kind}\r\n"
        body += head.encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"content-type: multipart/form-data; boundary={boundary}"


async def posted(client: Client, path: str, body: bytes, *headers: str) -> Any:
    await client.send(post(path, body, *headers))
    return await client.answer()
