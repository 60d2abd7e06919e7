"""Calls over HTTP, in an event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

from ..schema import media
from ..schema.kind import Buffer
from .address import Address
from .answer import Answer
from .events import EventReader
from .failure import failure
from .http_protocol import AsyncPool, HttpProtocol
from .http_transport import cut_off
from .options import CallOptions
from .outgoing import Outgoing
from .request_head import RequestHeads
from .transport import Reply


class AsyncHttpTransport:
    """Connections to one server; see `AsyncTransport`."""

    def __init__(self, address: Address, context: ssl.SSLContext | None, most: int) -> None:
        self._pool = AsyncPool(address, context, most)
        self._heads = RequestHeads(address)

    async def call(self, outgoing: Outgoing) -> Reply:
        answer = await self._ask(self._heads.call(outgoing), outgoing.body, outgoing.deadline)
        return Reply(answer.headers.get("content-type", ""), answer.body)

    async def schema(self, options: CallOptions, deadline: float) -> bytes:
        return bytes((await self._ask(self._heads.get("/schema", options), [], deadline)).body)

    async def ready(self, options: CallOptions, deadline: float) -> None:
        await self._ask(self._heads.get("/readyz", options), [], deadline)

    async def _ask(self, head: bytes, body: list[Buffer], deadline: float) -> Answer:
        answer = Answer()
        protocol = await self._pool.take(deadline)
        usable = False
        try:
            protocol.send(head, body, answer)
            await protocol.rest(answer, deadline)
            usable = answer.keep_alive
        finally:
            self._pool.give(protocol, usable=usable)
        if answer.status >= 300:
            raise failure(answer.status, answer.headers, answer.body)
        return answer

    async def stream(self, outgoing: Outgoing) -> AsyncIterator[Reply]:
        head = self._heads.call(outgoing)
        answer = Answer()
        protocol = await self._pool.take(outgoing.deadline)
        usable = False
        try:
            protocol.send(head, outgoing.body, answer, streams=True)
            while not answer.status:
                await protocol.more(outgoing.deadline)
            if answer.status >= 300:
                await protocol.rest(answer, outgoing.deadline)
                raise failure(answer.status, answer.headers, answer.body)
            async for reply in _items(protocol, answer, outgoing.deadline):
                yield reply
            usable = answer.whole and answer.keep_alive
        finally:
            self._pool.give(protocol, usable=usable)

    async def close(self) -> None:
        self._pool.close()
        await asyncio.sleep(0)  # the loop closes the sockets


async def _items(protocol: HttpProtocol, answer: Answer, deadline: float) -> AsyncIterator[Reply]:
    kind = answer.headers.get("content-type", "")
    events = EventReader() if kind.startswith(media.EVENTS) else None
    while True:
        whole = answer.whole
        piece = bytes(answer.take())
        if events is not None:
            for item in events.items(piece):
                yield Reply(media.JSON, item)
        elif piece:
            yield Reply(kind, piece)
        if whole:
            break
        if not answer.whole and not answer.pieces:
            await protocol.more(deadline)
    if events is not None and not events.ended:
        raise cut_off()
