"""Ray Serve: one replica, batching on, logs off: `server.py MODEL PORT`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import: it would phone home
os.environ["RAY_AUTH_MODE"] = "disabled"  # it would write a token into the home folder

import numpy as np
import ray
import reference_models
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response

MODEL, PORT = sys.argv[1:3]
QUIET = LoggingConfig(log_level="ERROR", enable_access_log=False)


@serve.deployment(
    num_replicas=1, max_ongoing_requests=512, ray_actor_options={"num_cpus": 1}, logging_config=QUIET
)
class Deployment:
    def __init__(self, name: str) -> None:
        self.model = None if name == "echo" else reference_models.load(name)

    @serve.batch(max_batch_size=reference_models.BATCH, batch_wait_timeout_s=0.005)
    async def predict(self, rows: list[np.ndarray]) -> list[Any]:
        return list(self.model(np.stack(rows)))

    async def __call__(self, request: Request) -> Any:
        body = await request.body()
        if request.headers["content-type"] == "application/octet-stream":
            x = np.frombuffer(body, dtype=np.float32)
            result = x if self.model is None else await self.predict(x)
            return Response(result.tobytes(), media_type="application/octet-stream")
        row = await self.predict(np.array((await request.json())["x"][0], dtype=np.float32))
        return [row.tolist() if isinstance(row, np.ndarray) else row]


if __name__ == "__main__":
    ray.init(
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=os.environ["BENCH_SCRATCH"],
        runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
        object_store_memory=512 * 2**20,
    )
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=int(PORT)), logging_config=QUIET)
    serve.run(Deployment.bind(MODEL), route_prefix="/predict")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
