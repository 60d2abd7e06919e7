"""From the bytes of an item to the api that waits for it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from ..service.raised import RAISED
from .item_feed import ItemFeed

if TYPE_CHECKING:
    from ..schema.input_stream import InputStream
    from .routes import Route
    from .threads import Threads


class Intake:
    """The items of one call, while they come in.

    Args:
        stream: the parameter that they are for.
        route: bounds the size of one item.
        threads: where large ones are read.
    """

    def __init__(self, stream: InputStream, route: Route, threads: Threads) -> None:
        self.feed = ItemFeed()
        """The argument of the call."""
        self.stream = stream
        self._route = route
        self._threads = threads
        self._count = 0

    async def take(self, data: bytes, *, text: bool) -> None:
        """Reads one item and waits until the api has room for it; of one that does not fit it gets the error.

        Args:
            text: it is JSON, else in the binary form of its type.
        """
        if self.feed.closed:
            return
        at = self._count
        self._count += 1
        read = self.stream.from_json if text else self.stream.from_binary
        try:
            self._route.check_size(len(data))
            if len(data) < self.stream.element.heavy_bytes:
                item = read(data, at)
            else:
                item = await self._threads.call(partial(read, data, at), {})
        except asyncio.CancelledError:
            raise
        except RAISED as error:  # a decoder may run the user's validators
            self.feed.fail(error)
            return
        await self.feed.put(item)
