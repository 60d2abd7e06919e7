"""A runner of one worker, batching on, behind one API process."""

import os

import bentoml
import numpy as np
import reference_models
from bentoml.io import JSON, NumpyNdarray

MODEL = os.environ["BENCH_MODEL"]


class Predictor(bentoml.Runnable):
    SUPPORTED_RESOURCES = ("cpu",)
    SUPPORTS_CPU_MULTI_THREADING = True

    def __init__(self) -> None:
        self.model = reference_models.load(MODEL)

    @bentoml.Runnable.method(batchable=True, batch_dim=0)
    def predict(self, x: np.ndarray) -> list:
        return reference_models.plain(self.model(x))


runner = bentoml.Runner(Predictor, max_batch_size=reference_models.BATCH, max_latency_ms=60_000)
svc = bentoml.Service("bench", runners=[runner])


@svc.api(input=NumpyNdarray(dtype="float32"), output=JSON())
async def predict(x: np.ndarray) -> list:
    return await runner.predict.async_run(x)
