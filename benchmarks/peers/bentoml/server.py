"""Becomes `bentoml serve`: `server.py MODEL PORT`."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path


def main() -> None:
    _, port = sys.argv[1:]
    os.environ["BENTOML_HOME"] = os.environ["BENCH_SCRATCH"]
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    command = str(Path(sysconfig.get_path("scripts"), "bentoml"))
    folder = str(Path(__file__).parent)
    options = ["--host", "127.0.0.1", "--port", port, "--working-dir", folder]
    os.execv(command, [command, "serve", "service:Predictor", *options])


if __name__ == "__main__":
    main()
