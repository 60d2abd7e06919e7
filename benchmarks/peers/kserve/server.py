"""KServe's model server, without the sidecar in Go that can make batches: `server.py MODEL PORT`."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import reference_models
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

MODEL, PORT = sys.argv[1:3]


class Predictor(Model):
    def __init__(self) -> None:
        super().__init__(MODEL)
        self.model = None if MODEL == "echo" else reference_models.load(MODEL)
        self.ready = True

    async def predict(
        self,
        payload: dict[str, Any] | InferRequest,
        headers: Any = None,  # noqa: ARG002 - KServe passes it
        response_headers: Any = None,  # noqa: ARG002
    ) -> dict[str, Any] | InferResponse:
        if isinstance(payload, InferRequest):  # the binary extension of the Open Inference Protocol
            x = payload.inputs[0].as_numpy()
            y = x if self.model is None else self.model(x)
            output = InferOutput("y", list(y.shape), "FP32")
            output.set_data_from_numpy(y, binary_data=True)
            return InferResponse(
                response_id="",
                model_name=self.name,
                infer_outputs=[output],
                use_binary_outputs=payload.use_binary_outputs,
                requested_outputs=payload.request_outputs,
            )
        x = np.array(payload["instances"], dtype=np.float32)
        return {"predictions": reference_models.plain(self.model(x))}


if __name__ == "__main__":
    logging.disable(logging.INFO)  # access and latency lines
    ModelServer(
        http_port=int(PORT), workers=1, enable_grpc=False, enable_latency_logging=False, event_loop="uvloop"
    ).start([Predictor()])
