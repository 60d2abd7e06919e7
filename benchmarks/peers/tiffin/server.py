"""Saves the model if it has to, then becomes `bundle serve`: `server.py MODEL PORT [options]`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import reference_models

import tiffin


def main() -> None:
    model, port, *options = sys.argv[1:]
    store = os.environ["TIFFIN_HOME"] = f"{os.environ['BENCH_SCRATCH']}/home"
    if model == "iris" and not Path(store, "models", "iris").exists():
        iris = reference_models.Iris()
        tiffin.models.save(
            "iris", iris.model, example=[[5.1, 3.5, 1.4, 0.2]], classes=reference_models.CLASSES
        )
    target = f"{Path(__file__).parent / 'service.py'}:{model.capitalize()}"
    arguments = ["-m", "tiffin", "serve", target, "--port", port, "--grpc-port", "0", *options]
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main()
