"""Asks the running service: `python call.py http://localhost:3000`."""

from __future__ import annotations

import json
import sys
import urllib.request

FLOWERS = {"flowers": [[5.1, 3.5, 1.4, 0.2], [6.0, 2.9, 4.5, 1.5], [6.3, 3.3, 6.0, 2.5]]}


def ask(url: str, body: object) -> object:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


base = sys.argv[1].rstrip("/")
print("classify      ", ask(f"{base}/classify", FLOWERS))
print("probabilities ", ask(f"{base}/probabilities", {"flowers": FLOWERS["flowers"][:1]}))
