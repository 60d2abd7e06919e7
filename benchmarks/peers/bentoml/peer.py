from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from payloads import ARRAY, ROWS, SMALL, json_body
from peer import Peer, Request


def floats(body: bytes) -> Any:
    return np.frombuffer(body, dtype=np.float32)


def echo(array: np.ndarray) -> Request:
    return Request("/raw/same", array.tobytes(), "application/octet-stream", read=floats)


PEERS = [
    Peer(
        name="bentoml",
        title="BentoML 1.4",
        folder=Path(__file__).parent,
        distribution="bentoml",
        configuration="one service with batches to 64, one worker, access log off; bytes by a route by hand",
        requests={
            **{model: {"json": Request("/predict", json_body({"x": [ROWS[model]]}))} for model in ROWS},
            "echo": {"ready": echo(SMALL), "bytes by hand": echo(ARRAY)},
        },
    )
]
