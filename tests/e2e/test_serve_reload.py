"""`bundle serve --reload` with real edits."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import twice
from server import Server


def test_edits_good_and_bad(tmp_path: Path) -> None:
    file = twice.write(tmp_path)
    with Server(tmp_path, "--reload", "--no-access-log") as server:

        def ask() -> object:
            return httpx.post(f"{server.base_url}/twice", json={"x": [1]}).json()

        assert ask() == [2]
        file.write_text(twice.SOURCE.replace("x * 2", "x * 3"))
        server.wait_event("reloaded")
        assert ask() == [3]
        file.write_text(twice.SOURCE.replace("x * 2", "x * "))
        failed = server.wait_event("reload failed")
        assert "service.py" in failed["error"]
        assert ask() == [3]
        file.write_text(twice.SOURCE.replace("x * 2", "x * 4"))
        server.wait_event("reloaded")
        assert ask() == [4]


def test_nobody_sees_an_error_during_a_reload(tmp_path: Path) -> None:
    file = twice.write(tmp_path)
    with Server(tmp_path, "--reload", "--no-access-log") as server:
        done = threading.Event()
        seen: list[float] = []
        errors: list[Exception] = []

        def ask() -> None:
            try:
                with httpx.Client(timeout=90) as client:
                    while not done.is_set():
                        seen.append(client.post(f"{server.base_url}/twice", json={"x": [1]}).json()[0])
            except Exception as error:  # noqa: BLE001 - whatever a caller sees
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()

        def until_seen(answer: float) -> None:
            while answer not in seen:
                assert thread.is_alive(), errors
                time.sleep(0.01)

        try:
            until_seen(2)
            file.write_text(twice.SOURCE.replace("x * 2", "x * 3"))
            server.wait_event("reloaded")
            while len(server.pids()) > 2:
                assert thread.is_alive(), errors
                time.sleep(0.01)
            until_seen(3)
        finally:
            done.set()
            thread.join()
        assert errors == []
        assert set(seen) == {2, 3}
        assert seen == sorted(seen)
