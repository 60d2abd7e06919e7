"""Workers in other containers than the business logic, as real processes on loopback."""

from __future__ import annotations

from pathlib import Path

import httpx
from apart import api, frames, project, worker


def test_predict_across_containers(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    with worker(folder) as there, api(folder, frames(there)) as here:
        answer = httpx.post(f"{here.base_url}/double", json={"x": [[1.0, 2.0], [3.0, 4.0]]})
        assert (answer.status_code, answer.json()) == (200, [[2.0, 4.0], [6.0, 8.0]])
        assert httpx.post(f"{here.base_url}/pid", json={}).json() in there.pids("worker")
        assert not here.pids("worker")
        assert not there.pids("server")
        assert httpx.post(f"{here.base_url}/secrets", json={}).json() == ["", ""]
        assert 'tiffin_remote_workers{runner="twice",service="apart"} 2.0' in _metrics(here.base_url)
        assert 'tiffin_peers{service="apart"} 1.0' in _metrics(there.base_url)
        assert httpx.get(f"{there.base_url}/readyz").json()["ready"]
        assert here.stop() == 0
        assert there.stop() == 0


def _metrics(url: str) -> str:
    return httpx.get(f"{url}/metrics").text
