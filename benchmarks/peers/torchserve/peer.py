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
    return Request("/predictions/echo", array.tobytes(), BYTES, read=floats)


def rows(model: str) -> Request:
    return Request(f"/predictions/{model}", json_body({"x": [ROWS[model]]}))


MLP = np.array(ROWS["mlp"], np.float32).tobytes()

PEERS = [
    Peer(
        name="torchserve",
        title="TorchServe",
        folder=Path(__file__).parent,
        distribution="torchserve",
        configuration="Java front, one worker, batches to 64 in a window of 5 ms, logs, metrics off",
        requests={
            "iris": {"json": rows("iris")},
            "mlp": {"json": rows("mlp"), "bytes": Request("/predictions/mlp", MLP, BYTES, read=floats)},
            "slow": {"json": rows("slow")},
            "echo": {"ready": echo(SMALL), "bytes": echo(ARRAY)},
        },
    )
]
