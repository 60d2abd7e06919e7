"""Tasks of the server's own, beside those of the service in one event loop."""

from __future__ import annotations

import asyncio
from asyncio.tasks import _unregister_task
from typing import Any, TypeVar

T = TypeVar("T", bound="asyncio.Task[Any]")


def unseen(task: T) -> T:
    """The task, which `asyncio.all_tasks()` no longer gives: a service that cancels all that it finds there
    means its own, and this process has other callers. Somebody has to hold a reference to it."""
    _unregister_task(task)
    return task
