"""What is sent to every peer, and what must come back."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

REFERENCE = Path(__file__).parent / "reference"
sys.path.insert(0, str(REFERENCE))

from reference_models import Mlp  # noqa: E402 - the folder is put on the path of every peer, and here

ROWS: dict[str, list[float]] = {
    "iris": [5.1, 3.5, 1.4, 0.2],
    "mlp": [round(float(value), 6) for value in np.random.default_rng(1).random(784)],
    "slow": [21.0],
}
"""One row for each model; the 784 floats are some 6.9 KB of JSON, 3.1 KB of bytes."""

ARRAY = np.random.default_rng(2).random((3100, 3100), dtype=np.float32)
"""38.4 MB to send there and back."""
SMALL = ARRAY[:2, :2].copy()
"""Asks whether the server of such arrays is ready, without filling its memory."""


def expected(model: str) -> Any:
    """The result for the one row of `ROWS`; of `echo`, what `SMALL` comes back as."""
    if model == "echo":
        return SMALL.ravel().tolist()
    if model == "iris":
        return "setosa"
    if model == "slow":
        return [42.0]
    row = np.asarray(ROWS["mlp"], dtype=np.float32)
    *hidden, last = Mlp.weights()
    for weight in hidden:
        row = np.maximum(weight @ row, 0)
    return (last @ row).tolist()


def right(model: str, rows: Any) -> bool:
    """Whether a parsed answer is the one row that was to come; numbers to 3 digits."""
    want = expected(model)
    if model == "iris":
        return list(rows) == [want]
    found = np.asarray(rows, dtype=np.float64).ravel()
    return found.shape == (len(want),) and bool(np.allclose(found, want, rtol=1e-3, atol=1e-3))


def json_body(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def npy(array: np.ndarray) -> bytes:
    """The bytes of a .npy file."""
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def from_npy(body: bytes) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(body))
    return array
