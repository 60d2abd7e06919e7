"""The peer: the same model called by a plain Litestar handler under uvicorn, no batching, no workers."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass

import joblib
import numpy as np
import uvicorn
from litestar import Litestar, post

CLASSES = ["setosa", "versicolor", "virginica"]
model = joblib.load(sys.argv[1])


@dataclass
class Flowers:
    flowers: list[list[float]]


@post("/classify", status_code=200)
async def classify(data: Flowers) -> list[str]:
    return [CLASSES[i] for i in model.predict(np.asarray(data.flowers, dtype=np.float32))]


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        Litestar([classify]), log_level="error", access_log=False, loop="uvloop", http="httptools"
    )
    uvicorn.Server(config).run(sockets=[listener])
