"""A WebSocket client for tests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from http_server import Running
from websockets.asyncio.client import ClientConnection, connect


def opened(server: Running, path: str, **options: Any) -> Any:
    return connect(f"ws://127.0.0.1:{server.port}{path}", proxy=None, **options)


async def received(socket: ClientConnection) -> Any:
    return await asyncio.wait_for(socket.recv(), 60)


async def asked(socket: ClientConnection, message: Any) -> Any:
    """The answer to one message in JSON."""
    await socket.send(json.dumps(message))
    return json.loads(await received(socket))


async def streamed(socket: ClientConnection) -> list[Any]:
    """JSON messages up to the one that ends the call."""
    found = []
    while True:
        found.append(json.loads(await received(socket)))
        if found[-1].keys() & {"end", "error", "cancelled", "result"}:
            return found
