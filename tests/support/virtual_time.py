"""An event loop whose time passes only when nothing else is left to do: hours take milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any


class _Jump(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("the test waits for something that will never happen")
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    def timers(self) -> int:
        """Timers that are set and not cancelled."""
        return sum(not handle.cancelled() for handle in self._scheduled)  # type: ignore[attr-defined]


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """Runs a coroutine function to its end in virtual time."""
    loop = VirtualLoop()
    # What an assertion in a callback raised must fail the test, not end in a log.
    problems: list[BaseException] = []
    loop.set_exception_handler(
        lambda _, told: problems.append(told.get("exception") or AssertionError(told["message"]))
    )
    try:
        result = loop.run_until_complete(main())  # type: ignore[arg-type]
    finally:
        loop.close()
    if problems:
        raise problems[0]
    return result
