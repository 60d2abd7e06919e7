from __future__ import annotations

from pathlib import Path

from payloads import ROWS, json_body
from peer import Peer, Request

PEERS = [
    Peer(
        name="bentoml_1_1",
        title="BentoML 1.1",
        folder=Path(__file__).parent,
        distribution="bentoml",
        configuration="one API process, one runner process with batches to 64, access logs off; JSON only",
        requests={model: {"json": Request("/predict", json_body([ROWS[model]]))} for model in ROWS},
    )
]
