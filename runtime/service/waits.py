"""What a sync api waits for in its thread, so that it does not wait on when its caller has gone."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from contextvars import ContextVar
from typing import Any, final


@final
class Waits:
    """The calls to runners in which one call of a sync api is blocked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: set[concurrent.futures.Future[Any]] = set()
        self._cancelled = False

    def result(self, future: concurrent.futures.Future[Any]) -> Any:
        """Blocks until the future is done and gives its result.

        Raises:
            asyncio.CancelledError: nobody waits for the api any more; the call is cancelled.
            Exception: that of the future.
        """
        with self._lock:
            self._futures.add(future)
            cancelled = self._cancelled
        if cancelled:
            future.cancel()
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            # As in an async api: no `except Exception` of the user's own takes it for a failed call.
            raise asyncio.CancelledError from error
        finally:
            with self._lock:
                self._futures.discard(future)

    def cancel(self) -> None:
        """Nobody waits for the api any more: its calls end, and those that it still makes end at once."""
        with self._lock:
            self._cancelled = True
            futures = list(self._futures)
        for future in futures:
            future.cancel()


waits_here: ContextVar[Waits | None] = ContextVar("tiffin_waits", default=None)
"""Those of the sync api in whose thread this runs; None elsewhere."""
