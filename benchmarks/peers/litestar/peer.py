from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from payloads import ARRAY, ROWS, SMALL, json_body
from peer import Peer, Request

BYTES = "application/octet-stream"


def floats(body: bytes) -> Any:
    return np.frombuffer(body, dtype=np.float32)


def echo(array: np.ndarray) -> Request:
    return Request("/binary", array.tobytes(), BYTES, read=floats)


def rows(model: str) -> Request:
    return Request("/predict", json_body({"x": [ROWS[model]]}))


PEERS = [
    Peer(
        name="litestar",
        title="Litestar alone",
        folder=Path(__file__).parent,
        distribution="litestar",
        configuration="uvicorn, uvloop, httptools; one process, model called in the handler, no batches",
        requests={
            "iris": {"json": rows("iris")},
            "mlp": {
                "json": rows("mlp"),
                "bytes": Request("/binary", np.array(ROWS["mlp"], np.float32).tobytes(), BYTES, read=floats),
            },
            "slow": {"json": rows("slow")},
            "echo": {"ready": echo(SMALL), "bytes": echo(ARRAY)},
        },
    )
]
