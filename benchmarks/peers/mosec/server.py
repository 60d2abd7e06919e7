"""mosec: batching on, one worker a route: `server.py MODEL PORT [options of mosec]`."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import reference_models
from mosec import Runtime, Server, Worker
from mosec.mixin import MsgpackMixin

KEYS = {"iris": "flowers", "mlp": "x", "slow": "x"}
MODEL = os.environ["BENCH_MODEL"]  # workers are spawned: their sys.argv is another


class Json(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.model = reference_models.load(MODEL)

    def forward(self, data: list[Any]) -> list[Any]:
        rows = np.array([item[KEYS[MODEL]][0] for item in data], dtype=np.float32)
        return [[row] for row in reference_models.plain(self.model(rows))]


class Binary(MsgpackMixin, Worker):
    """float32 as bytes in msgpack: there is no quicker way to get a row out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = reference_models.load(MODEL)

    def forward(self, data: list[Any]) -> list[Any]:
        rows = np.stack([np.frombuffer(item["x"], dtype=np.float32) for item in data])
        return [{"y": row.tobytes()} for row in self.model(rows)]


class Mirror(MsgpackMixin, Worker):
    def forward(self, data: Any) -> Any:
        return {"y": np.frombuffer(data["x"], dtype=np.float32).tobytes()}


if __name__ == "__main__":
    _, port, *options = sys.argv[1:]
    sys.argv[1:] = ["--port", port, "--address", "127.0.0.1", "--log-level", "warning", "--timeout", "30000"]
    sys.argv += options
    if MODEL == "echo":
        sys.argv += ["--max-request-size", str(64 * 2**20)]
        runtimes = {"/inference": [Runtime(Mirror, num=1)]}
    else:
        batched = {"num": 1, "max_batch_size": reference_models.BATCH}
        runtimes = {"/inference": [Runtime(Json, **batched)]}
        if MODEL == "mlp":
            runtimes["/binary"] = [Runtime(Binary, **batched)]
    server = Server()
    server.register_runtime(runtimes)
    server.run()
