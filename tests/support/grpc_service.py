"""A small service for the tests of gRPC; it writes what happens to a file beside it."""

from __future__ import annotations

from pathlib import Path

_TEXT = '''
"""Small apis."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int8

import tiffin

LOG = Path({log!r})
WAKE = LOG.with_name("wake")
"""Ends naps of less than no time."""


def write(line):
    with LOG.open("a") as log:
        log.write(line + "\\n")


class Napper:
    @tiffin.batch(max_size=1)
    def nap(self, seconds: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        import time

        write(f"nap {{float(seconds[0]):g}}")
        while seconds[0] < 0 and not WAKE.exists():
            time.sleep(0.01)
        time.sleep(max(0.0, float(seconds[0])))
        return seconds


@tiffin.service
class Small:
    napper = tiffin.runner(Napper)

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "*n"]) -> Float32[np.ndarray, "*n"]:
        return x * 2

    @tiffin.api
    async def bytes8(self, x: Int8[np.ndarray, "n"]) -> Int8[np.ndarray, "n"]:
        return x

    @tiffin.api
    async def both(
        self, a: Float32[np.ndarray, "n"], b: Float32[np.ndarray, "n"]
    ) -> Float32[np.ndarray, "n"]:
        return a - b

    @tiffin.api
    async def nap(self, seconds: float) -> float:
        row = np.array([seconds], np.float32)
        return float((await self.napper.nap(row))[0])

    @tiffin.api
    async def wait(self, seconds: float) -> float:
        write("waits")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            write("cancelled")
            raise
        return seconds

    @tiffin.api
    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number
        if to == 13:
            raise ValueError("thirteen")

    @tiffin.api
    async def greet(self, name: str) -> str:
        request = tiffin.request_context()
        request.response_headers["x-greeted"] = name
        write(f"route {{request.route}}")
        return f"hello {{name}} {{request.headers.get('x-user', '')}}"

    @tiffin.api
    async def fail(self, why: str) -> str:
        raise RuntimeError(why)
'''


def write_project(folder: Path) -> Path:
    """`service.py`; what happens goes to `log` beside it."""
    (folder / "service.py").write_text(_TEXT.format(log=str(folder / "log")))
    return folder


def lines(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text().splitlines() if log.exists() else []
