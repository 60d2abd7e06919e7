"""Waits for what another process or thread brings about, and which tells nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LIMIT_S = 120.0
"""Far more than any of it takes: a busy machine must not fail a test."""


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.01)


async def until_in_loop(holds: Callable[[], object]) -> None:
    """The same, while the loop runs."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, "it never came to pass"
        await asyncio.sleep(0.005)
