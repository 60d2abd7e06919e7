"""What the user's code may raise without ending the process that other callers are served by."""

from __future__ import annotations

import asyncio
from typing import Any

from . import forked

RAISED = BaseException
"""Also what is no `Exception`: a class of the user's own, `BaseExceptionGroup`. `asyncio.CancelledError` has
a meaning of its own: where something is awaited, its `except` comes first. No signal raises any of them here:
API processes and workers leave Ctrl-C to the supervisor."""


def pass_on_close(error: BaseException, task: asyncio.Task[Any] | None) -> None:
    """Raises a `GeneratorExit` that nobody's code raised: the coroutine is put away, not run. A forked
    copy of the process ends.

    Args:
        task: the one that runs the coroutine.
    """
    forked.end_copy(error)
    if isinstance(error, GeneratorExit) and (
        task is None or asyncio.current_task(task.get_loop()) is not task
    ):
        raise error
