"""Nobody reads what the server says: it serves, replaces workers, and ends all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import twice
from ports import kept_port


def full_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(65536))
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


def test_a_full_pipe_holds_nobody_up(tmp_path: Path) -> None:
    twice.write(tmp_path)
    with kept_port() as port:
        serve_unread(tmp_path, port)


def serve_unread(project: Path, port: int) -> None:
    reading, writing = full_pipe()
    command = [
        sys.executable,
        "-m",
        "tiffin",
        "serve",
        str(project),
        "--port",
        str(port),
        "--log-level",
        "debug",
    ]
    with subprocess.Popen(command, stdout=writing, stderr=writing) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                while True:
                    try:
                        if client.get("/readyz").status_code == 200:
                            break
                    except httpx.ConnectError:
                        pass
                    assert process.poll() is None
                    time.sleep(0.05)
                worker = client.post("/worker_pid").json()
                os.kill(worker, signal.SIGKILL)  # the supervisor, too, has something to say then
                assert client.post("/twice", json={"x": [1]}).json() == [2]
                assert client.post("/worker_pid").json() != worker
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
            os.close(reading)
            os.close(writing)
