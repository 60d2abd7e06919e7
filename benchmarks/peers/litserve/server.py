"""LitServe: batching on, one worker, its quick queue: `server.py MODEL PORT`."""

from __future__ import annotations

import sys
from typing import Any

import litserve
import numpy as np
import reference_models

MODEL, PORT = sys.argv[1:3]


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe passes it
        self.model = reference_models.load(MODEL)

    def decode_request(self, request) -> np.ndarray:  # LitServe takes a hint for a pydantic model
        return np.array(request["x"][0], dtype=np.float32)

    def predict(self, x: np.ndarray) -> list[Any]:
        return reference_models.plain(self.model(x))

    def encode_response(self, output: Any) -> list[Any]:
        return [output]


if __name__ == "__main__":
    api = Api(max_batch_size=reference_models.BATCH, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(PORT),
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
