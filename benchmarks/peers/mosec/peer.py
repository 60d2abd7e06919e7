from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from payloads import ARRAY, ROWS, SMALL, json_body
from peer import Peer, Request

MSGPACK = "application/msgpack"


def packed(array: np.ndarray) -> bytes:
    return msgspec.msgpack.encode({"x": array.tobytes()})


def unpacked(body: bytes) -> Any:
    return np.frombuffer(msgspec.msgpack.decode(body)["y"], dtype=np.float32)


WINDOW = Peer(
    name="mosec",
    title="mosec",
    folder=Path(__file__).parent,
    distribution="mosec",
    configuration="one worker, batches to 64, its own window of 10 ms",
    requests={
        "iris": {"json": Request("/inference", json_body({"flowers": [ROWS["iris"]]}))},
        "mlp": {
            "json": Request("/inference", json_body({"x": [ROWS["mlp"]]})),
            "msgpack": Request(
                "/binary", packed(np.array(ROWS["mlp"], dtype=np.float32)), MSGPACK, read=unpacked
            ),
        },
        "slow": {"json": Request("/inference", json_body({"x": [ROWS["slow"]]}))},
        "echo": {
            form: Request("/inference", packed(array), MSGPACK, read=unpacked)
            for form, array in {"ready": SMALL, "msgpack": ARRAY}.items()
        },
    },
)
PROMPT = replace(
    WINDOW,
    name="mosec-prompt",
    title="mosec, no window",
    configuration="the same with --wait 0",
    requests={"iris": WINDOW.requests["iris"]},
    arguments=("--wait", "0"),
)
PEERS = [WINDOW, PROMPT]
