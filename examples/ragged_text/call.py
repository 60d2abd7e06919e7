"""Asks the running service: `python call.py http://localhost:3000`."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

base = sys.argv[1].rstrip("/")
TEXTS = [
    "thevalueisalist",
    "iftheobjectisafunction",
    "thisstatementisusedtodefineanewclass",
    "theexpressionisevaluatedandtheresultisreturnedtothecaller",
]


def ask(path: str, **body: object) -> object:
    request = urllib.request.Request(
        base + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


with ThreadPoolExecutor() as pool:  # at the same time: those of one bucket share a batch
    alone = list(pool.map(lambda text: ask("/read", text=text), TEXTS))
for text in alone:
    print("answer", text)
print("the same in one call:", ask("/read_many", texts=TEXTS) == alone)
try:
    ask("/read", text="a" * 1025)
except urllib.error.HTTPError as error:
    print("too long:", error.code, json.load(error)["detail"])
