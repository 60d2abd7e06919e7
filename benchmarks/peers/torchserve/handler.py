"""The handler that TorchServe calls with a batch of requests."""

import os

import numpy as np
import reference_models

MODEL = os.environ["BENCH_MODEL"]


class Handler:
    def initialize(self, context) -> None:  # noqa: ARG002 - TorchServe passes it
        self.model = None if MODEL == "echo" else reference_models.load(MODEL)

    def handle(self, data, context) -> list:  # noqa: ARG002
        bodies = [item.get("body") or item.get("data") for item in data]
        if self.model is None:
            return [bytes(body) for body in bodies]
        binary = [isinstance(body, (bytes, bytearray)) for body in bodies]  # a batch may hold both forms
        rows = [
            np.frombuffer(body, np.float32) if raw else body["x"][0]
            for body, raw in zip(bodies, binary, strict=True)
        ]
        result = self.model(np.array(rows, dtype=np.float32))
        return [
            row.tobytes() if raw else [item]
            for row, item, raw in zip(result, reference_models.plain(result), binary, strict=True)
        ]
