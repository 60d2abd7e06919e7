"""The runtime that MLServer loads in its worker."""

from __future__ import annotations

import os

import numpy as np
import reference_models
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):
    async def load(self) -> bool:
        self.model = reference_models.load(os.environ["BENCH_MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        result = self.model(NumpyCodec.decode_input(payload.inputs[0]))
        codec = NumpyCodec if isinstance(result, np.ndarray) else StringCodec
        return InferenceResponse(model_name=self.name, outputs=[codec.encode_output("y", result)])
