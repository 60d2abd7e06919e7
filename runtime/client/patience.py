"""Trying again: what is safe, after a growing while with jitter, and never beyond the deadline."""

from __future__ import annotations

import random
import time

from ...errors import ConnectionFailedError, DeadlineExceededError, OverloadedError, TiffinError
from .options import CallOptions

FIRST_S = 0.05
LONGEST_S = 5.0


class Patience:
    """The tries of one call.

    Args:
        options: how often, and whether the call may run twice.
        deadline: `time.monotonic()` seconds.
    """

    def __init__(self, options: CallOptions, deadline: float) -> None:
        self._left = options.retries
        self._idempotent = options.idempotent
        self._deadline = deadline
        self._wait_s = FIRST_S

    def pause_s(self, error: TiffinError) -> float:
        """Seconds to wait before the next try; raises `error` when there is to be none.

        Safe is what the server refused before any work (503 with Retry-After), and what it cannot have got
        whole.
        """
        if not self._left or not self._safe(error):
            raise error
        self._left -= 1
        asked_s = error.retry_after_s if isinstance(error, OverloadedError) else 0.0
        wait_s = asked_s + random.uniform(0, self._wait_s)  # noqa: S311 - spreads callers, guards nothing
        self._wait_s = min(2 * self._wait_s, LONGEST_S)
        if time.monotonic() + wait_s >= self._deadline:
            raise error
        return wait_s

    def _safe(self, error: TiffinError) -> bool:
        if isinstance(error, ConnectionFailedError):
            return self._idempotent or not error.sent
        return isinstance(error, OverloadedError)


def remaining_s(deadline: float) -> float:
    """Seconds until the deadline; raises DeadlineExceededError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise too_late()
    return left


def too_late() -> DeadlineExceededError:
    return DeadlineExceededError("no answer within the client's time limit; give more with timeout_s=")
