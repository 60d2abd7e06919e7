"""Worker and API containers as processes on loopback; each 127.0.0.x plays a host."""

from __future__ import annotations

from pathlib import Path

from server import Server

TOKEN = "a secret that is long enough"

SERVICE = """
from __future__ import annotations

import os
import time

import numpy as np
from jaxtyping import Float64

import tiffin


class Twice:
    @tiffin.batch(max_size=64)
    def double(self, x: Float64[np.ndarray, "n m"]) -> Float64[np.ndarray, "n m"]:
        return x * 2

    @tiffin.batch(max_size=16)
    def slow(self, x: Float64[np.ndarray, "n m"]) -> Float64[np.ndarray, "n m"]:
        time.sleep(0.02)
        return x * 2

    def pid(self, seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()

    def secret(self) -> str:
        return os.environ.get("TIFFIN_TOKEN", "")


@tiffin.service
class Apart:
    twice = tiffin.runner(Twice, workers=2)

    @tiffin.api
    async def double(self, x: Float64[np.ndarray, "n m"]) -> Float64[np.ndarray, "n m"]:
        return await self.twice.double(x)

    @tiffin.api
    async def slow(self, x: Float64[np.ndarray, "n m"]) -> Float64[np.ndarray, "n m"]:
        return await self.twice.slow(x)

    @tiffin.api
    async def pid(self, seconds: float = 0.0) -> int:
        return await self.twice.pid(seconds)

    @tiffin.api(timeout_s=1.0)
    async def soon(self) -> int:
        return await self.twice.pid(0.0)

    @tiffin.api
    async def secrets(self) -> list[str]:
        return [await self.twice.secret(), os.environ.get("TIFFIN_TOKEN", "")]
"""


def project(folder: Path, text: str = SERVICE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.py").write_text(text)
    return folder


def worker(
    target: str | Path, *options: str, host: str = "127.0.0.1", port: int = 0, **environ: str
) -> Server:
    """A worker container; `frames(server)` is where it takes frames.

    Args:
        port: for frames; 0: any free one.
        environ: over a token.
    """
    return Server(
        target,
        *("--role", "worker", "--host", host, "--worker-port", str(port), *options),
        environ={"TIFFIN_TOKEN": TOKEN, **environ},
    )


def api(target: str | Path, at: str, *options: str, wait: bool = True, **environ: str) -> Server:
    """An API container.

    Args:
        at: where the workers are, as in `TIFFIN_WORKERS_AT`.
    """
    return Server(
        target,
        *("--role", "api", "--no-access-log", *options),
        environ={"TIFFIN_TOKEN": TOKEN, "TIFFIN_WORKERS_AT": at, **environ},
        wait=wait,
    )


def frames(server: Server) -> str:
    """`127.0.0.1:40001`"""
    return next(str(event["frames"]) for event in server.events if event["event"] == "ready")
