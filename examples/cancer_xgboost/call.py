"""Asks the running service: `python call.py http://localhost:3000`."""

from __future__ import annotations

import json
import sys
import urllib.request

from sklearn.datasets import load_breast_cancer

data = load_breast_cancer()
rows = [19, 0]  # one benign, one malignant
request = urllib.request.Request(
    f"{sys.argv[1].rstrip('/')}/diagnose",
    data=json.dumps({"nuclei": data.data[rows].tolist()}).encode(),
    headers={"content-type": "application/json"},
)
with urllib.request.urlopen(request, timeout=30) as response:
    answers = json.load(response)
for row, answer in zip(rows, answers, strict=True):
    print(f"truth {data.target_names[data.target[row]]:9}  answer {answer}")
