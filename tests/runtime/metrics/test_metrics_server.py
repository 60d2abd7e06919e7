"""The page of real servers: two on one host, one of which loses its API process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from server import Server

from tiffin import __version__

SERVICE = """
import tiffin

class Twice:
    @tiffin.batch
    def run(self, numbers: list[float]) -> list[float]:
        return [2 * number for number in numbers]

@tiffin.service
class Math:
    twice = tiffin.runner(Twice)

    @tiffin.api
    async def double(self, numbers: list[float]) -> list[float]:
        return await self.twice.run(numbers)
"""


def samples(server: Server) -> dict[str, float]:
    """`name{label values}` → value, of the current page."""
    page = httpx.get(f"{server.base_url}/metrics").raise_for_status().text
    return {
        f"{sample.name}{{{','.join(value for _, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def call(server: Server, rows: int) -> None:
    answer = httpx.post(f"{server.base_url}/double", json={"numbers": [1.0] * rows})
    assert answer.raise_for_status().json() == [2.0] * rows


def test_counts_survive_a_killed_process_and_stay_with_their_server(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    environ = {"TIFFIN_HOME": str(tmp_path / "home")}
    with Server(tmp_path, environ=environ) as one, Server(tmp_path, environ=environ) as two:
        for rows in (1, 2, 3):
            call(one, rows)
        call(two, 64)
        os.kill(one.pids("server")[0], signal.SIGKILL)
        limit = time.monotonic() + 120
        while True:  # connections are refused or reset until the next process listens
            try:
                call(one, 4)
                break
            except httpx.TransportError:
                assert time.monotonic() < limit
        first, second = samples(one), samples(two)
    assert first["tiffin_requests_total{200,POST,/double,math}"] == 4
    assert first["tiffin_batch_rows_sum{run,twice,math}"] == 1 + 2 + 3 + 4
    assert first["tiffin_requests_in_flight{/double,math}"] == 0
    assert first["tiffin_worker_restarts_total{SIGKILL,api,math}"] == 1
    assert second["tiffin_requests_total{200,POST,/double,math}"] == 1
    assert second["tiffin_batch_rows_sum{run,twice,math}"] == 64
    assert not [name for name in second if name.startswith("tiffin_worker_restarts")]
    for page in (first, second):
        assert page[f"tiffin_info{{,math,{__version__}}}"] == 1
        assert page["tiffin_worker_up{twice,math,twice-0}"] == 1
        for process in ("api-0", "supervisor"):
            assert page[f"tiffin_process_memory_bytes{{{process}}}"] > 1e6
