"""Rows a second of a reference model without any server: what no server can exceed.

    python benchmarks/model_alone.py MODEL

Prints JSON: batch size → rows a second, in this process, with one BLAS thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from payloads import ROWS
from reference_models import BATCH, load

SECONDS = 1.0


def rates(model: Any, row: list[float]) -> dict[str, float]:
    """For one row, and for a full batch."""
    import numpy as np

    found = {}
    for rows in (1, BATCH):
        batch = np.array([row] * rows, dtype=np.float32)
        model(batch)
        began, calls = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            model(batch)
            calls += 1
        found[str(rows)] = rows * calls / (time.perf_counter() - began)
    return found


def model_alone(name: str) -> dict[str, float]:
    """`rates` of a model in a process of its own, as a worker would be."""
    command = [sys.executable, __file__, name]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(rates(load(sys.argv[1]), ROWS[sys.argv[1]])))
