from __future__ import annotations

from pathlib import Path

from payloads import ROWS, json_body
from peer import Peer, Request

PEERS = [
    Peer(
        name="litserve",
        title="LitServe",
        folder=Path(__file__).parent,
        distribution="litserve",
        configuration="one worker, one API process, batches to 64 in a window of 5 ms, fast_queue; JSON only",
        requests={model: {"json": Request("/predict", json_body({"x": [ROWS[model]]}))} for model in ROWS},
    )
]
