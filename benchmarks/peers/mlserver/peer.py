from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from payloads import ROWS, json_body
from peer import Peer, Request


def outputs(body: bytes) -> Any:
    return json.loads(body)["outputs"][0]["data"]


def infer(model: str) -> Request:
    row = ROWS[model]
    tensor = {"name": "x", "shape": [1, len(row)], "datatype": "FP32", "data": row}
    return Request(f"/v2/models/{model}/infer", json_body({"inputs": [tensor]}), read=outputs)


PEERS = [
    Peer(
        name="mlserver",
        title="MLServer",
        folder=Path(__file__).parent,
        distribution="mlserver",
        configuration="parallel_workers=1, batches to 64 in a window of 5 ms, logs, gzip off; binary by gRPC",
        requests={model: {"json": infer(model)} for model in ROWS},
    )
]
