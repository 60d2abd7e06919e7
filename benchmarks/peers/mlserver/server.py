"""Writes MLServer's settings, then becomes `mlserver start`: `server.py MODEL PORT`."""

from __future__ import annotations

import json
import os
import socket
import sys
import sysconfig
from pathlib import Path

import reference_models

MODEL, PORT = sys.argv[1:3]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def main() -> None:
    folder = Path(os.environ["BENCH_SCRATCH"], MODEL)
    folder.mkdir(exist_ok=True)
    settings = {
        "host": "127.0.0.1",
        "http_port": int(PORT),
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 1,
        "debug": False,  # no access log
        "gzip_enabled": False,
    }
    model = {
        "name": MODEL,
        "implementation": "runtime.Runtime",
        "max_batch_size": reference_models.BATCH,
        "max_batch_time": 0.005,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    os.environ["PYTHONPATH"] += f"{os.pathsep}{Path(__file__).parent}"
    os.chdir(folder)
    command = str(Path(sysconfig.get_path("scripts"), "mlserver"))
    os.execv(command, [command, "start", str(folder)])


if __name__ == "__main__":
    main()
