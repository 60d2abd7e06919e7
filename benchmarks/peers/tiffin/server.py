"""Saves the model if it must, then becomes `bundle serve`: `server.py MODEL PORT [--as-it-is] [options]`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import reference_models

import tiffin


def save_iris() -> None:
    tiffin.models.save(
        "iris",
        reference_models.Iris().model,
        example=[[5.1, 3.5, 1.4, 0.2]],
        classes=reference_models.CLASSES,
    )


def save_mlp() -> None:
    network = reference_models.Mlp().network
    # Torch's own Sequential: which layers it has can only be said by a pickle.
    tiffin.models.save("mlp", network, example=np.zeros((1, 784), np.float32), options={"format": "pickle"})


SAVED = {"iris": save_iris, "mlp": save_mlp}


def main() -> None:
    model, port, *options = sys.argv[1:]
    store = os.environ["TIFFIN_HOME"] = f"{os.environ['BENCH_SCRATCH']}/home"
    if model in SAVED and not Path(store, "models", model).exists():
        SAVED[model]()
    name = model.capitalize()
    if "--as-it-is" in options:
        options.remove("--as-it-is")
        name += "AsItIs"
    target = f"{Path(__file__).parent / 'service.py'}:{name}"
    arguments = ["-m", "tiffin", "serve", target, "--port", port, "--grpc-port", "0", *options]
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main()
