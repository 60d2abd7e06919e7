"""A real uvicorn in the running event loop, and a client that sends exactly the bytes it is told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
import uvloop
from http_service import server_state

from tiffin.runtime.http.app import create_app
from tiffin.runtime.http.protocol import make_protocol
from tiffin.runtime.http.state import ServerState
from tiffin.runtime.http.websocket_protocol import websocket_options

if TYPE_CHECKING:
    from typing_extensions import Self


class Running:
    def __init__(self, state: ServerState, server: uvicorn.Server, port: int) -> None:
        self.state = state
        self.server = server
        self.port = port

    async def until(self, reached: Callable[[], bool]) -> None:
        """Lets the loop run until something has happened; a test that waits in vain ends by its time-out."""
        while not reached():  # noqa: ASYNC110 - transports tell nobody when they pause or close
            await asyncio.sleep(0.001)

    async def connect(self, limit: int = 2**26) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        return Client(reader, writer)


@asynccontextmanager
async def running(state: ServerState, **config: Any) -> AsyncIterator[Running]:
    options = {
        **websocket_options(state),
        "lifespan": "on",
        "log_config": None,
        "server_header": False,
        "timeout_keep_alive": 75,
    }
    options.update(config)
    settings = uvicorn.Config(
        create_app(state), host="127.0.0.1", port=0, http=make_protocol(state), **options
    )  # type: ignore[arg-type]
    settings.load()
    server = uvicorn.Server(settings)
    server.lifespan = settings.lifespan_class(settings)
    await server.startup()
    await server.on_tick(0)  # makes the date header
    try:
        yield Running(state, server, server.servers[0].sockets[0].getsockname()[1])
    finally:
        for listening in server.servers:
            listening.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        if server.server_state.tasks:
            await asyncio.wait(server.server_state.tasks, timeout=60)
        await server.lifespan.shutdown()


def on_server(**options: Any) -> Callable[[Callable[[Running], Awaitable[None]]], Callable[..., None]]:
    """Runs an async test with a server, once in asyncio's loop and once in uvloop's.

    Args:
        options: of `server_state`; `config` goes to uvicorn, `make` is called in place of `server_state`.
    """
    config = options.pop("config", {})
    make = options.pop("make", server_state)

    def wrap(test: Callable[[Running], Awaitable[None]]) -> Callable[..., None]:
        async def serve(folder: Path) -> None:
            async with running(make(folder, **options), **config) as server:
                await test(server)

        @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
        def run(tmp_path: Path, loop: str) -> None:
            made = uvloop.new_event_loop() if loop == "uvloop" else asyncio.new_event_loop()
            try:
                made.run_until_complete(asyncio.wait_for(serve(tmp_path), 120))
            finally:
                made.close()

        run.__name__ = test.__name__
        return run

    return wrap


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, head: bool = False) -> Answer:
        """The next answer, whole."""
        return await asyncio.wait_for(self._answer(head=head), 60)

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = raw[:-4].split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Za-z -]*", first)
        assert match is not None, first
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines), f"a header came twice: {lines}"
        return int(match[1]), headers

    async def _answer(self, *, head: bool) -> Answer:
        status, headers = await self.head()
        if head or status in (100, 204):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join([chunk async for chunk in self.chunks()])
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = await self.reader.read()
        return Answer(status, headers, body)

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        assert await self.reader.readline() == b"\r\n"

    async def ended(self) -> bool:
        """Whether the server closed and sent nothing more."""
        return await asyncio.wait_for(self.reader.read(), 60) == b""

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: test", *headers, "", ""]).encode("latin-1")


def post(path: str, body: bytes = b"{}", *headers: str, version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "host: test", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
