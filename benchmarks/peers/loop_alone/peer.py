"""No server at all: what the event loop and the HTTP parser leave for one."""

from __future__ import annotations

from pathlib import Path

from payloads import ROWS, json_body
from peer import Peer, Request

PEERS = [
    Peer(
        name="loop-alone",
        title="loop and parser alone",
        folder=Path(__file__).parent,
        distribution="uvloop",
        configuration="uvloop and httptools, one process, the same answer to everybody: a limit, no server",
        requests={"iris": {"json": Request("/", json_body({"flowers": [ROWS["iris"]]}))}},
    )
]
