from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from payloads import ARRAY, ROWS, SMALL, json_body
from peer import Peer, Request


def instances(model: str) -> Request:
    return Request(
        f"/v1/models/{model}:predict",
        json_body({"instances": [ROWS[model]]}),
        read=lambda body: json.loads(body)["predictions"],
    )


def binary(model: str, array: np.ndarray) -> Request:
    head = json_body(
        {
            "inputs": [
                {
                    "name": "x",
                    "shape": list(array.shape),
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": array.nbytes},
                }
            ],
            "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
        }
    )
    return Request(
        f"/v2/models/{model}/infer",
        head + array.tobytes(),
        "application/octet-stream",
        {"inference-header-content-length": str(len(head))},
        tensor,
    )


def tensor(body: bytes) -> Any:
    """The tensor behind the JSON head."""
    _, end = json.JSONDecoder().raw_decode(body[:4000].decode("latin-1"))
    return np.frombuffer(body[end:], dtype=np.float32)


PEERS = [
    Peer(
        name="kserve",
        title="KServe's server",
        folder=Path(__file__).parent,
        distribution="kserve",
        configuration="one process, uvloop, model called in predict, no gRPC, logs; batches need a sidecar",
        requests={
            "iris": {"json": instances("iris")},
            "mlp": {
                "json": instances("mlp"),
                "v2 binary": binary("mlp", np.array([ROWS["mlp"]], np.float32)),
            },
            "slow": {"json": instances("slow")},
            "echo": {"ready": binary("echo", SMALL), "v2 binary": binary("echo", ARRAY)},
        },
    )
]
