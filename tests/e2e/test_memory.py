"""Large arrays, and too large ones: what they cost, and what is said when there is no room."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from processes import peak_bytes
from server import Server

SERVICE = """
from __future__ import annotations

import numpy as np
from jaxtyping import Float32

import tiffin

hoard = []


class Model:
    @tiffin.batch
    def add(self, x: Float32[np.ndarray, "n m"]) -> Float32[np.ndarray, "n m"]:
        return x + np.float32(1)

    def hoard(self, megabytes: int) -> int:
        for _ in range(megabytes):
            hoard.append(np.ones(1_000_000, np.uint8))
        return len(hoard)


@tiffin.service
class Memory:
    model = tiffin.runner(Model)

    @tiffin.api
    async def add(self, x: Float32[np.ndarray, "n m"]) -> Float32[np.ndarray, "n m"]:
        return await self.model.add(x)

    @tiffin.api
    async def keep(self, megabytes: int) -> int:
        return await self.model.hoard(megabytes)
"""
SHAPE = (95, 100_000)
"""38 MB of float32."""
NPY = {"content-type": "application/x-npy", "accept": "application/x-npy"}
LIMIT_BYTES = 700_000_000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(SERVICE)
    return tmp_path


def test_an_array_there_and_back_takes_less_than_three_of_it_in_each_process(project: Path) -> None:
    sent = np.random.default_rng(0).random(SHAPE, np.float32)
    body = io.BytesIO()
    np.save(body, sent)
    with Server(project) as server, httpx.Client(base_url=server.base_url, headers=NPY, timeout=60) as client:
        pids = [*server.pids("server"), *server.pids("worker")]
        before = [peak_bytes(pid) for pid in pids]
        for _ in range(3):
            answer = client.post("/add", content=body.getvalue())
            assert np.array_equal(np.load(io.BytesIO(answer.content)), sent + np.float32(1))
        grown = [(peak_bytes(pid) - least) / sent.nbytes for pid, least in zip(pids, before, strict=True)]
        assert len(grown) == 2
        assert all(1 < times < 3 for times in grown), grown


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of its own below this process's, with `LIMIT_BYTES` of memory."""
    made = None
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        v1 = "memory" in controllers.split(",")
        if not v1 and controllers:
            continue
        folder = Path(
            "/sys/fs/cgroup", "memory" if v1 else "", path.lstrip("/"), f"tiffin-test-{os.getpid()}"
        )
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                (folder / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(LIMIT_BYTES))
            except OSError:
                folder.rmdir()
                raise
            made = folder
            break
    if made is None:
        pytest.skip("no control group can be made here")
    yield made
    for _ in range(100):
        with contextlib.suppress(OSError):
            made.rmdir()
            return
        time.sleep(0.05)  # the kernel is still burying the last process


def test_a_worker_that_the_kernel_killed_for_its_memory_is_told_so(project: Path, group: Path) -> None:
    with Server(project, wait=False) as server:
        (group / "cgroup.procs").write_text(str(server.pid))  # before it has children
        server.wait_ready()
        with httpx.Client(base_url=server.base_url, timeout=60) as client:
            assert client.post("/keep", json={"megabytes": 10}).json() == 10
            (victim,) = server.pids("worker")
            answer = client.post("/keep", json={"megabytes": 2000})
            assert answer.status_code == 500
            assert "ended two workers" in answer.json()["title"]
            assert victim not in server.pids("worker")
            answer = client.post("/keep", json={"megabytes": 20})
            assert answer.json() == 20, "the third worker serves"
            assert 'reason="out of memory"' in client.get("/metrics").text
        assert server.log().count("model-0 killed by the kernel: out of memory") == 2
