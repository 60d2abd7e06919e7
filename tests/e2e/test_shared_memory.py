"""Workers of one model hold its weights once: counted on real workers, by what each holds for itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from server import Server

from tiffin.bundler import models

WEIGHTS_BYTES = 96_000_000
"""Several times what else such a worker holds, Python and numpy."""
SERVICE = """
import tiffin


@tiffin.service
class Lookup:
    table = tiffin.runner("table:latest", workers=2)

    @tiffin.api
    async def row(self, number: int) -> float:
        return float(await self.table.predict.one(number))
"""


class Table:
    """Reads all of its rows, so that every page is in memory."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def predict(self, numbers: Any) -> Any:
        return np.array([float(self.rows.sum()) for _ in numbers])


def held(pid: int, what: str) -> int:
    """Bytes: `Rss`, or `Pss`, which divides a page by those who map it."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(rf"^{what}:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def test_a_second_worker_costs_no_second_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TIFFIN_BUNDLE", raising=False)
    rows = np.full(WEIGHTS_BYTES // 4, 1, np.float32)
    models.save("table", Table(rows), example=np.ones(2))
    (tmp_path / "service.py").write_text(SERVICE)
    with Server(tmp_path) as server:  # each worker has run its model once
        told = server.events[-1]["own_bytes"]["table"]
        workers = server.pids("worker")
        assert len(workers) == 2
        for pid in workers:
            assert held(pid, "Rss") > WEIGHTS_BYTES
            assert held(pid, "Pss") < held(pid, "Rss") - WEIGHTS_BYTES / 3
        assert told < WEIGHTS_BYTES / 2, "what one more worker takes"
