"""A service with an api of every kind, for clients of other projects: `write_project` makes its folder."""

from __future__ import annotations

from pathlib import Path

ECHOED = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
"""Datatype to the numpy dtype that `everything.<dtype>` takes and gives back."""

_HEAD = '''
"""Every kind of api."""
from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from jaxtyping import (
    Bool, Float16, Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64
)

import tiffin


@dataclasses.dataclass
class Both:
    total: Float32[np.ndarray, "n 4"]
    difference: Float32[np.ndarray, "n 4"]


class Doubler:
    """Counts the rows that it has seen, in a file."""

    def __init__(self, log: str) -> None:
        self.log = Path(log)

    @tiffin.batch(max_size=8)
    def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        with self.log.open("a") as log:
            log.write(f"{len(x)}\\n")
        return x * 2

    @tiffin.batch(max_size=1)
    def nap(self, seconds: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        import time

        with self.log.open("a") as log:
            log.write(f"sleeps {float(seconds.max())}\\n")
        while seconds.max() < 0 and not self.log.with_name("wake").exists():
            time.sleep(0.01)
        time.sleep(max(0.0, float(seconds.max())))
        return seconds


@tiffin.service
class Everything:
    doubler = tiffin.runner(Doubler, log={log!r})

    @tiffin.api
    async def combine(self, a: Float32[np.ndarray, "n 4"], b: Float32[np.ndarray, "n 4"]) -> Both:
        """Adds and subtracts."""
        return Both(a + b, a - b)

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return await self.doubler.double(x)

    @tiffin.api
    async def nap(self, seconds: Float64[np.ndarray, "1"]) -> Float64[np.ndarray, "1"]:
        """Sleeps in a worker, one caller after the other; below zero until the log has a neighbour `wake`."""
        return await self.doubler.nap(seconds)

    @tiffin.api
    async def shout(self, words: list[str]) -> list[str]:
        return [word.upper() for word in words]

    @tiffin.api
    async def flip(self, data: bytes) -> bytes:
        return data[::-1]

    @tiffin.api
    async def scale(self, x: Float64[np.ndarray, "n"], factor: float = 1.0) -> Float64[np.ndarray, "n"]:
        return x * factor

    @tiffin.api
    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            await asyncio.sleep(0)
            if number == 13:
                raise ValueError("thirteen")
            yield number

    @tiffin.api
    async def fail(self, why: str) -> str:
        raise RuntimeError(why)
'''

_ECHO = """
    @tiffin.api
    async def {name}(self, x: {hint}[np.ndarray, "..."]) -> {hint}[np.ndarray, "..."]:
        return x
"""

_HINTS = {name: name[0].upper() + name[1:] for name in ECHOED.values()} | {
    name: f"UInt{name[4:]}" for name in ECHOED.values() if name.startswith("uint")
}


def write_project(folder: Path) -> Path:
    """`service.py`; the runner writes what it did to `runner.log` beside it."""
    text = _HEAD.replace("{log!r}", repr(str(folder / "runner.log")))
    text += "".join(_ECHO.format(name=name, hint=_HINTS[name]) for name in ECHOED.values())
    (folder / "service.py").write_text(text)
    return folder
