"""A small project without a framework, for tests of the server: `write(folder)`, then serve the folder."""

from __future__ import annotations

from pathlib import Path

SOURCE = '''
import logging
import os
import time

import numpy as np
import tiffin
from jaxtyping import Float64

logger = logging.getLogger("twice")


class Doubler:
    @tiffin.batch(max_size=64)
    def double(self, x: np.ndarray, wait_s: float = 0.0) -> np.ndarray:
        time.sleep(wait_s)
        return x * 2

    def pid(self) -> int:
        return os.getpid()

    def hold(self, gate: str) -> str:
        while not os.path.exists(gate):
            time.sleep(0.01)
        return gate

    def hang(self) -> int:
        while True:
            time.sleep(1)

    def environ(self) -> dict[str, str]:
        return dict(os.environ)


@tiffin.service
class Twice:
    """Doubles numbers."""

    doubler = tiffin.runner(Doubler)

    @tiffin.on_start
    def begin(self):
        logger.info("started")

    @tiffin.on_stop
    async def end(self):
        logger.info("stopped")

    @tiffin.api
    async def twice(self, x: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        return await self.doubler.double(x)

    @tiffin.api
    def twice_in_thread(self, x: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        return self.doubler.double(x)

    @tiffin.api
    async def slowly(self, x: Float64[np.ndarray, "n"], wait_s: float) -> Float64[np.ndarray, "n"]:
        return await self.doubler.double(x, wait_s=wait_s)

    @tiffin.api
    async def hold(self, gate: str) -> str:
        """Answers once this file exists."""
        return await self.doubler.hold(gate)

    @tiffin.api
    async def worker_pid(self) -> int:
        return await self.doubler.pid()

    @tiffin.api(timeout_s=0.5)
    async def hang(self) -> int:
        return await self.doubler.hang()

    @tiffin.api
    async def environ(self) -> dict[str, str]:
        return await self.doubler.environ()

    @tiffin.api
    async def pid(self) -> int:
        return os.getpid()
'''


def write(folder: Path, source: str = SOURCE) -> Path:
    """`<folder>/service.py`."""
    file = folder / "service.py"
    file.write_text(source)
    return file
