"""The event loop of a child process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from ..service import forked
from .unseen import unseen

logger = logging.getLogger("tiffin.server")


def run(main: Coroutine[Any, Any, int]) -> int:
    """Runs it in a uvloop where there is one."""
    try:
        import uvloop
    except ImportError:  # Windows, PyPy
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return _to_the_end(unseen(loop.create_task(main)), loop)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def _to_the_end(main: asyncio.Task[int], loop: asyncio.AbstractEventLoop) -> int:
    """Also when a task of the user's own raises what ends a loop: who waits for that task is told, and the
    process has other callers."""
    while True:
        try:
            return loop.run_until_complete(main)
        except (SystemExit, KeyboardInterrupt) as error:  # noqa: PERF203 - seldom more than once
            forked.end_copy(error)
            if main.done():
                raise
            logger.exception("a task of the service raised %s", type(error).__name__)
        except RuntimeError:
            if main.done() or loop.is_closed():
                raise
            logger.exception("the service stopped the event loop, which goes on")
