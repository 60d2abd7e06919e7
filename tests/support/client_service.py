"""A service with an api of every kind, for our own clients; `write_project` makes its folder."""

from __future__ import annotations

from pathlib import Path

SOURCE = '''
"""Every kind of api, for clients."""
from __future__ import annotations

import asyncio
import dataclasses
import enum
import io
from collections.abc import AsyncIterator
from typing import Literal, TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, Int64
from PIL import Image

import tiffin

CALLS = {"refused": 0}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    """A place."""

    x: float
    y: float = 0.0
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Found:
    point: Point
    near: list[Point]
    scores: Float32[np.ndarray, "n"]
    note: str | None = None


class Options(TypedDict, total=False):
    limit: int


@tiffin.service(name="kinds")
class Kinds:
    """Takes and gives one of each."""

    @tiffin.api
    async def add(self, a: int, b: int = 2, *, scale: float = 1.0) -> float:
        """Adds two numbers.

        And scales the sum.
        """
        return (a + b) * scale

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        """Twice the rows."""
        return x * 2

    @tiffin.api
    async def signs(self, x: Int64[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        return x < 0

    @tiffin.api
    async def wide(self) -> Int64[np.ndarray, "1"] | None:
        return np.array([2**53 + 1])

    @tiffin.api
    async def mix(
        self, a: Float[np.ndarray, "n"], b: Int64[np.ndarray, "n"] | None = None, weight: float = 1.0
    ) -> dict[str, Float[np.ndarray, "n"]]:
        return {"sum": a * weight + (0 if b is None else b)}

    @tiffin.api
    async def find(self, at: Point, options: Options | None = None, colour: Colour = Colour.RED) -> Found:
        """Points near another."""
        many = [Point(at.x + step, at.y, [colour.value]) for step in range((options or {}).get("limit", 2))]
        return Found(at, many, np.arange(len(many), dtype=np.float32))

    @tiffin.api(route="/text/shout")
    async def shout(self, text: str, how: Literal["loud", "soft"] = "loud") -> str:
        return text.upper() if how == "loud" else text.lower()

    @tiffin.api
    async def maybe(self, x: int | None = None) -> int | None:
        return None if x is None else x + 1

    @tiffin.api
    async def flip(self, data: bytes) -> bytes:
        return data[::-1]

    @tiffin.api
    async def stamp(self, file: tiffin.File, word: str = "seen") -> tiffin.File:
        return tiffin.File(file.data + word.encode(), name=f"{word}-{file.name}", media_type=file.media_type)

    @tiffin.api
    async def sizes(self, files: list[tiffin.File]) -> dict[str, int]:
        return {file.name: len(file) for file in files}

    @tiffin.api
    async def mirror(self, image: Image.Image) -> Image.Image:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    @tiffin.api
    async def head(self, table: pd.DataFrame, rows: int = 1) -> pd.DataFrame:
        return table.head(rows)

    @tiffin.api
    async def count(self, to: int, fail_at: int = -1) -> AsyncIterator[Point]:
        """Counts up, a point each."""
        for number in range(to):
            if number == fail_at:
                raise ValueError("enough")
            await asyncio.sleep(0)
            yield Point(float(number))

    @tiffin.api
    async def waves(self, rounds: int) -> AsyncIterator[Float32[np.ndarray, "3"]]:
        for number in range(rounds):
            yield np.full(3, number, np.float32)

    @tiffin.api
    async def chunks(self, sizes: list[int]) -> AsyncIterator[bytes]:
        for size in sizes:
            yield bytes(size)

    @tiffin.api
    async def fail(self, why: str) -> None:
        """Fails as it is told."""
        if why == "input":
            raise tiffin.errors.InvalidInputError("not like that", path="$.why")
        if why == "full":
            raise tiffin.errors.OverloadedError("full", retry_after_s=1)
        if why == "memory":
            raise tiffin.errors.OutOfMemoryError("too many rows")
        raise RuntimeError(why)

    @tiffin.api
    async def nap(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @tiffin.api
    async def who(self) -> dict[str, str]:
        request = tiffin.request_context()
        return {"id": request.id, "trace": request.trace_id, "user": request.headers.get("x-user", "")}

    @tiffin.api
    async def flaky(self) -> int:
        """Refuses every other call."""
        CALLS["refused"] += 1
        if CALLS["refused"] % 2:
            raise tiffin.errors.OverloadedError("full", retry_after_s=0.01)
        return CALLS["refused"]

    @tiffin.api
    async def total(self, prices: AsyncIterator[float], discount: float = 0.0) -> float:
        return sum([price async for price in prices]) * (1 - discount)

    @tiffin.api
    async def close(self) -> str:
        return "closed"
'''


def write_project(folder: Path) -> Path:
    (folder / "service.py").write_text(SOURCE)
    return folder
