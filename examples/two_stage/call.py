"""Asks the running service: `python call.py http://localhost:3000`."""

from __future__ import annotations

import json
import sys
import urllib.request

from sklearn.datasets import load_digits

digits = load_digits()
request = urllib.request.Request(
    f"{sys.argv[1].rstrip('/')}/read",
    data=json.dumps({"images": digits.images[10:20].tolist()}).encode(),
    headers={"content-type": "application/json"},
)
with urllib.request.urlopen(request, timeout=30) as response:
    answers = json.load(response)
print("truth ", [str(digit) for digit in digits.target[10:20]])
print("answer", answers)
