"""FastAPI alone: the model is called in the handler, no batches, no workers: `server.py MODEL PORT`."""

from __future__ import annotations

import sys

import numpy as np
import reference_models
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

MODEL, PORT = sys.argv[1:3]
app = FastAPI()
model = None if MODEL == "echo" else reference_models.load(MODEL)


class Rows(BaseModel):
    x: list[list[float]]


@app.post("/predict")
async def predict(rows: Rows) -> list[str] | list[list[float]]:
    return reference_models.plain(model(np.array(rows.x, dtype=np.float32)))


@app.post("/binary")
async def binary(request: Request) -> Response:
    x = np.frombuffer(await request.body(), dtype=np.float32)
    result = x if model is None else model(x[None])
    return Response(result.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(PORT),
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
