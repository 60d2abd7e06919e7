"""The pool of sync apis: bounded, with the caller's context."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from tiffin.errors import OverloadedError
from tiffin.runtime.http.threads import Threads

_value: contextvars.ContextVar[int] = contextvars.ContextVar("value", default=0)


def test_context_goes_along_and_changes_do_not_come_back() -> None:
    def work(x: int) -> int:
        seen = _value.get()
        _value.set(99)
        return seen + x

    async def main() -> None:
        threads = Threads(2)
        _value.set(7)
        assert await threads.call(work, {"x": 1}) == 8
        assert _value.get() == 7
        threads.close()

    asyncio.run(main())


def test_full_queue_is_refused_and_cancelled_calls_never_run() -> None:
    async def main() -> None:
        threads = Threads(size=1, waiting=1)
        began, release = threading.Event(), threading.Event()
        ran: list[str] = []

        def hold() -> None:
            began.set()
            release.wait(10)

        def note(**_: Any) -> None:
            ran.append("ran")

        first = asyncio.create_task(threads.call(hold, {}))
        await asyncio.to_thread(began.wait, 10)
        second = asyncio.create_task(threads.call(note, {}))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await threads.call(note, {})
        second.cancel()
        await asyncio.wait({second})
        third = asyncio.create_task(threads.call(note, {}))
        await asyncio.sleep(0)
        release.set()
        await first
        await third
        assert ran == ["ran"]
        assert threads._held == 0
        threads.close()

    asyncio.run(main())
