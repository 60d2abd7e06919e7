"""Items on their way from a caller to the api that reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

ITEMS = 16
"""So many wait for the api at most; who sends more waits."""


class ItemFeed:
    """The argument of a parameter hinted `AsyncIterator[T]`. In one event loop.

    The door puts items in and says `end` or `fail`; the api iterates, once.
    """

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._error: BaseException | None = None
        self._ended = False
        self.closed = False
        """The api has answered: nobody reads any more."""
        self._changed = asyncio.Event()

    async def put(self, item: Any) -> None:
        """Waits while the api is behind; what nobody will read is dropped."""
        while len(self._items) >= ITEMS and not self.closed:
            self._changed.clear()
            await self._changed.wait()
        if not (self.closed or self._ended):
            self._items.append(item)
            self._changed.set()

    def end(self) -> None:
        """No item comes after those that were put."""
        self._ended = True
        self._changed.set()

    def fail(self, error: BaseException) -> None:
        """After the items that were put, the api gets this error."""
        if not self._ended:
            self._error = error
            self.end()

    def close(self) -> None:
        """The api has answered: whoever waits to put an item goes on."""
        self.closed = True
        self._items.clear()
        self._changed.set()

    def __aiter__(self) -> ItemFeed:
        return self

    async def __anext__(self) -> Any:
        while not self._items and not self._ended and not self.closed:
            self._changed.clear()
            await self._changed.wait()
        if self._items:
            item = self._items.popleft()
            self._changed.set()
            return item
        error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopAsyncIteration
