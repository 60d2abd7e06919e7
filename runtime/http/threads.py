"""Where sync apis run: a bounded pool of threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ...errors import OverloadedError
from ..service import forked
from ..service.waits import Waits, waits_here

THREADS = 64
"""A sync api holds its thread while it waits for a runner, so fewer threads than a batch has rows would keep
batches small. Threads are only made when they are needed."""
WAITING = 1024
"""Calls that may wait for a thread; more are refused at once."""


class Threads:
    def __init__(self, size: int = THREADS, waiting: int = WAITING) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="tiffin-api")
        self._limit = size + waiting
        self._held = 0
        self._lock = threading.Lock()

    async def call(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """`function(**arguments)` in a thread, with a copy of the caller's context.

        A call that has not begun when the caller is cancelled never begins. One that runs goes on, since a
        thread cannot be stopped, but waits for no runner any more; its result is dropped.

        Raises:
            OverloadedError: every thread is taken and the queue is full.
        """
        with self._lock:
            if self._held >= self._limit:
                raise OverloadedError(
                    f"{self._limit} calls of sync apis are running or waiting: try again shortly"
                )
            self._held += 1
        context, waits = contextvars.copy_context(), Waits()
        context.run(waits_here.set, waits)
        try:
            future = self._pool.submit(context.run, _run, function, arguments)
        except RuntimeError:
            self._release()
            raise
        future.add_done_callback(self._release)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            waits.cancel()
            raise

    def _release(self, _: Future[Any] | None = None) -> None:
        with self._lock:
            self._held -= 1

    def close(self) -> None:
        """Lets running calls go on, drops those that wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _run(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        value = function(**arguments)
    except StopIteration as error:  # no future can hold one: the caller would wait for ever
        forked.end_copy(error)
        raise RuntimeError("the api raised StopIteration") from error
    except BaseException as error:
        forked.end_copy(error)
        raise
    forked.end_copy()
    return value
