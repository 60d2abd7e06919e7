"""The last batches of a method, and why they left: for whoever asks what batching does."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

from .request import Batch

LAST = 64
"""Batches remembered."""


class Journal:
    """Written once a batch, when it is back."""

    __slots__ = ("_last", "_reasons", "_requests", "_rows")

    def __init__(self) -> None:
        self._last: deque[tuple[float, float, int, int, str, float, str, bool]] = deque(maxlen=LAST)
        self._reasons: Counter[str] = Counter()
        self._requests = 0
        self._rows = 0

    def note(self, batch: Batch, now: float, *, failed: bool) -> None:
        rows, requests = batch.rows, len(batch.requests)
        self._reasons[batch.reason] += 1
        self._requests += requests
        self._rows += rows
        waited_s = batch.started - batch.oldest
        self._last.append(
            (
                batch.started,
                now - batch.started,
                rows,
                requests,
                batch.reason,
                waited_s,
                batch.worker,
                failed,
            )
        )

    def explain(self, now: float) -> dict[str, Any]:
        """`reasons`, `requests`, `rows` and `last_batches`, see `Dispatcher.explain`.

        Args:
            now: of the clock that the batches were timed with.
        """
        behind = time.time() - now
        return {
            "reasons": dict(self._reasons),
            "requests": self._requests,
            "rows": self._rows,
            "last_batches": [
                {
                    "at": behind + started,
                    "rows": rows,
                    "requests": requests,
                    "reason": reason,
                    "waited_s": waited_s,
                    "service_s": service_s,
                    "worker": worker,
                    "failed": failed,
                }
                for started, service_s, rows, requests, reason, waited_s, worker, failed in self._last
            ],
        }
