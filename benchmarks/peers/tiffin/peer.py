"""tiffin itself, in the environment that runs the benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from payloads import ARRAY, ROWS, SMALL, from_npy, json_body, npy
from peer import Peer, Request

NPY = "application/x-npy"
MSGPACK = "application/msgpack"
ROW = np.array([ROWS["mlp"]], dtype=np.float32)
PACKED = msgspec.msgpack.encode({"x": {"dtype": "float32", "shape": [1, 784], "data": ROW.tobytes()}})


def unpacked(body: bytes) -> Any:
    answer = msgspec.msgpack.decode(body)
    return np.frombuffer(answer["data"], dtype=answer["dtype"])


OURS = Peer(
    name="tiffin",
    title="tiffin",
    folder=Path(__file__).parent,
    distribution="tiffin",
    configuration="bundle serve as it comes: one API process, one worker, batches to 64, access log on",
    requests={
        "iris": {"json": Request("/classify", json_body({"flowers": [ROWS["iris"]]}))},
        "mlp": {
            "json": Request("/predict", json_body({"x": [ROWS["mlp"]]})),
            "npy": Request("/predict", npy(ROW), NPY, {"accept": NPY}, from_npy),
            "msgpack": Request("/predict", PACKED, MSGPACK, {"accept": MSGPACK}, unpacked),
        },
        "slow": {"json": Request("/double", json_body({"x": [ROWS["slow"]]}))},
        "echo": {
            form: Request("/same", npy(array), NPY, {"accept": NPY}, from_npy)
            for form, array in {"ready": SMALL, "npy": ARRAY}.items()
        },
    },
)
QUIET = replace(
    OURS,
    name="tiffin-quiet",
    title="tiffin, no access log",
    configuration="the same with --no-access-log",
    requests={"iris": OURS.requests["iris"]},
    arguments=("--no-access-log",),
)
TWO = replace(
    OURS,
    name="tiffin-two",
    title="tiffin, two API processes",
    configuration="the same with --processes 2: what a machine with two cores can give",
    requests={"iris": OURS.requests["iris"]},
    arguments=("--processes", "2"),
)
AS_IT_IS = replace(
    OURS,
    name="tiffin-as-it-is",
    title="tiffin, weights not packed",
    configuration="the same with prepack=False: torch computes as it does elsewhere",
    requests={"mlp": OURS.requests["mlp"]},
    arguments=("--as-it-is",),
)
PEERS = [OURS, QUIET, TWO, AS_IT_IS]
