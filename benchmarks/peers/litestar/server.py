"""Litestar alone: the model is called in the handler, no batches, no workers: `server.py MODEL PORT`."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import reference_models
import uvicorn
from litestar import Litestar, Request, Response, post

MODEL, PORT = sys.argv[1:3]
model = None if MODEL == "echo" else reference_models.load(MODEL)


@dataclass
class Rows:
    x: list[list[float]]


@post("/predict", status_code=200)
async def predict(data: Rows) -> list:
    return reference_models.plain(model(np.array(data.x, dtype=np.float32)))


@post("/binary", status_code=200, request_max_body_size=64 * 2**20)
async def binary(request: Request) -> Response:
    x = np.frombuffer(await request.body(), dtype=np.float32)
    result = x if model is None else model(x[None])
    return Response(result.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    uvicorn.run(
        Litestar([predict, binary], openapi_config=None),
        host="127.0.0.1",
        port=int(PORT),
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
