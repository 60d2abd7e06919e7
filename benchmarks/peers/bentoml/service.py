"""One service: the batching sits in the same process as HTTP, which spares a hop between two services."""

import os
from typing import Annotated

import bentoml
import numpy as np
import reference_models
from bentoml.validators import DType
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MODEL = os.environ["BENCH_MODEL"]


async def same(request: Request) -> Response:
    """An array in bytes, by hand: BentoML itself takes arrays as JSON."""
    x = np.frombuffer(await request.body(), dtype=np.float32)
    return Response(x.tobytes(), media_type="application/octet-stream")


@bentoml.asgi_app(Starlette(routes=[Route("/same", same, methods=["POST"])]), path="/raw")
@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Predictor:
    def __init__(self) -> None:
        self.model = None if MODEL == "echo" else reference_models.load(MODEL)

    @bentoml.api(batchable=True, max_batch_size=reference_models.BATCH, max_latency_ms=60_000)
    def predict(self, x: Annotated[np.ndarray, DType("float32")]) -> list:
        return reference_models.plain(self.model(x))
