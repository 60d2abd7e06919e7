"""What a dispatcher tells of its batches, made up: for tests of those who show it."""

from __future__ import annotations

import time
from typing import Any


def batch(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "at": time.time() - number,
        "rows": number,
        "requests": 1,
        "reason": "idle worker",
        "waited_s": 0.0015,
        "service_s": 0.0125,
        "worker": "forest-0-1",
        "failed": False,
        **fields,
    }


def method(**fields: Any) -> dict[str, Any]:
    """A method with a knee; `busy=False`: nothing came yet."""
    told = {
        "max_rows": 64,
        "max_latency_s": 0.1,
        "workers": 2,
        "waiting": 3,
        "cap": 24,
        "shape": "knee at 24",
        "spread": 0.05,
        "batches": 30,
        "service_s": [
            {"rows": 1.0, "seconds": 0.002, "samples": 10},
            {"rows": 22.5, "seconds": 0.005, "samples": 15},
            {"rows": 60.0, "seconds": 0.2, "samples": 5},
        ],
        "arrival_rate": 1234.5,
        "group": None,
        "expected_returns": [],
        "decisions": {"refused": 1, "shed": 2, "hold": 7, "spread": 0, "probe": 4},
        "batch": True,
        "unit": "rows",
        "reasons": {"full": 299, "idle worker": 700, "probe": 1},
        "requests": 4000,
        "rows": 15_000,
        "last_batches": [batch(number) for number in range(20, 0, -1)],
    }
    return {**told, **fields}


def quiet(**fields: Any) -> dict[str, Any]:
    """A method that nobody has called."""
    nothing = {"reasons": {}, "requests": 0, "rows": 0, "last_batches": [], "service_s": [], "waiting": 0}
    return method(**{**nothing, "cap": 64, "shape": "line", **fields})


def runner(**methods: dict[str, Any]) -> dict[str, Any]:
    """As `Dispatcher.explain` gives it."""
    return {
        "runner": "forest",
        "workers": 2,
        "idle": 2,
        "queue_rows": 3,
        "running": [],
        "ahead": [],
        "methods": methods,
    }


def process(name: str = "api-0", **methods: dict[str, Any]) -> dict[str, Any]:
    told = runner(**methods) if methods else runner(predict=method())
    return {"process": name, "pid": 7, "generation": 1, "time": time.time(), "runners": {"forest": told}}


def server(*processes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """As `/debug/batching` answers."""
    told = {
        "tiffin": "0.1.0",
        "service": "iris",
        "title": "iris:6f3k2q",
        "answered_by": "api-0",
        "silent": [],
    }
    return {**told, "processes": list(processes) or [process()], **fields}


class Dispatcher:
    """Tells what it is given."""

    queue_rows = 3
    in_flight = 0

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told

    def explain(self) -> dict[str, Any]:
        return self.told
