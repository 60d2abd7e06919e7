"""`bundle serve train.ipynb`: nothing but the service runs, and `--reload` follows what is saved."""

from __future__ import annotations

from pathlib import Path

import httpx
from cells import notebook
from server import Server

SERVICE = """
@tiffin.service
class Times:
    @tiffin.api
    def times(self, x: int) -> int:
        return x * FACTOR
"""
LOUD = "raise SystemExit('a cell was executed')"


def test_a_notebook_is_served_and_followed(tmp_path: Path) -> None:
    cells = ["%precision 3\nimport tiffin", "FACTOR = 2", LOUD, SERVICE]
    path = notebook(tmp_path / "train.ipynb", *cells)
    with Server(path, "--reload", "--no-access-log") as server:

        def ask() -> object:
            return httpx.post(f"{server.base_url}/times", json={"x": 2}).json()

        assert ask() == 4
        notebook(path, cells[0], "x = 'nothing that the service needs'", *cells[1:])
        notebook(path, cells[0], "FACTOR = 3", *cells[2:])
        server.wait_event("reloaded")
        assert ask() == 6
