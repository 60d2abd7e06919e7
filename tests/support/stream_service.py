"""A real service with streams in both directions, for the tests of WebSockets and of lines."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
from http_service import Metrics
from jaxtyping import Float32

import tiffin
from tiffin.runtime.http.state import ServerState
from tiffin.runtime.service.service import service_info
from tiffin.runtime.supervisor.control import ServerOptions


@dataclasses.dataclass
class Word:
    text: str
    times: int = 1


@tiffin.service(name="streams")
class Streams:
    """What the tests call. `release` lets `hold` go on; `seen` tells what happened inside."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.entered = asyncio.Event()
        self.seen: list[Any] = []

    @tiffin.api
    async def total(self, numbers: list[float], scale: float = 1.0) -> float:
        return sum(numbers) * scale

    @tiffin.api
    def plain(self, text: str) -> str:
        return text.upper()

    @tiffin.api
    async def count(self, upto: int, fail_at: int = -1) -> AsyncIterator[int]:
        try:
            for number in range(upto):
                if number == fail_at:
                    raise tiffin.errors.InvalidInputError("no more", path="$.upto")
                yield number
        finally:
            self.seen.append("closed")

    @tiffin.api
    async def endless(self, size: int) -> AsyncIterator[str]:
        try:
            while True:
                self.seen.append("item")
                yield "y" * size
        finally:
            self.seen.append("closed")

    @tiffin.api(timeout_s=20)
    async def hold(self, text: str) -> str:
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        return text

    @tiffin.api
    async def running(self, numbers: AsyncIterator[float], start: float = 0.0) -> AsyncIterator[float]:
        """The sum so far, after each number."""
        try:
            async for number in numbers:
                start += number
                yield start
        except tiffin.errors.InvalidInputError as error:
            self.seen.append(error.path)
            raise

    @tiffin.api
    async def longest(self, words: AsyncIterator[Word]) -> str:
        found = ""
        async for word in words:
            found = max(found, word.text * word.times, key=len)
        return found

    @tiffin.api
    async def first(self, words: AsyncIterator[str]) -> str:
        """Reads one and leaves the rest."""
        async for word in words:
            return word
        return ""

    @tiffin.api
    async def stack(self, rows: AsyncIterator[Float32[np.ndarray, "n"]]) -> Float32[np.ndarray, "m n"]:
        return np.stack([row async for row in rows])

    @tiffin.api
    async def shout(self, sound: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in sound:
            yield chunk.upper()

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        return x * 2

    @tiffin.api(max_body_bytes=100)
    async def small(self, text: str) -> int:
        return len(text)

    @tiffin.api
    async def who(self) -> dict[str, str]:
        request = tiffin.request_context()
        return {"id": request.id, "user": request.headers.get("x-user", ""), "route": request.route}


def stream_state(run_folder: Path, cls: type = Streams, **options: Any) -> ServerState:
    """One API process that serves `cls`, without workers."""
    info = service_info(cls)
    metrics: Any = Metrics()
    options.setdefault("access_log", False)
    return ServerState(
        info=info,
        spec=info.spec(),
        options=ServerOptions(**options),
        instance=cls(),
        dispatchers={},
        metrics=metrics,
        run_folder=run_folder,
        generation=1,
        ready=True,
    )
