"""NVIDIA's load generator against a served project; skipped where it is not installed.

Its binary is in the Linux wheel of tritonclient 2.41, `bin/perf_analyzer`; it needs libb64 and libcudart 12.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from server import Server

PERF_ANALYZER = shutil.which("perf_analyzer")
pytestmark = pytest.mark.skipif(PERF_ANALYZER is None, reason="needs perf_analyzer")

ONCE = ("--measurement-mode", "count_windows", "--measurement-request-count", "50", "-s", "999")
"""Three windows of 50 requests, however much their times differ."""


PROJECT = """
import numpy as np
import tiffin
from jaxtyping import Float32


class Doubler:
    @tiffin.batch(max_size=8)
    def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return x * 2


@tiffin.service(name="demo")
class Demo:
    doubler = tiffin.runner(Doubler)

    @tiffin.api
    async def double(self, x: Float32[np.ndarray, "n 4"]) -> Float32[np.ndarray, "n 4"]:
        return await self.doubler.double(x)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "service.py").write_text(PROJECT)
    with Server(folder, "--allow-client-shm", "--expose-runners") as running:
        yield running


@pytest.mark.parametrize(
    ("model", "options", "rows"),
    [
        ("demo.double", ("-b", "3"), 3),
        ("demo.doubler.double", ("--concurrency-range", "4", "--input-data", "zero"), 1),
        ("demo.double", ("--shared-memory", "system", "--output-shared-memory-size", "4096"), 1),
    ],
    ids=["batches", "concurrency", "shared memory"],
)
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_runs_and_shows_what_the_server_counted(
    server: Server, protocol: str, model: str, options: tuple[str, ...], rows: int
) -> None:
    url = server.base_url.removeprefix("http://") if protocol == "http" else server.events[-1]["grpc"]
    command = [str(PERF_ANALYZER), "-m", model, "-u", url, "-i", protocol, *ONCE, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    server_side = done.stdout.partition("Server:")[2]
    requests = int(re.findall(r"Successful request count: (\d+)", server_side)[0])
    assert requests >= 50
    assert int(re.findall(r"Inference count: (\d+)", server_side)[0]) == rows * requests
    compute_us = int(re.findall(r"compute infer (\d+) usec", server_side)[0])
    latency_us = int(re.findall(r"Avg request latency: (\d+) usec", server_side)[0])
    assert 0 < compute_us <= latency_us
