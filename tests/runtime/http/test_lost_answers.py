"""Answers that a failure or the end of the connection might swallow."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_server import Running, get, on_server, post
from http_service import server_state

from tiffin.errors import InferenceError
from tiffin.runtime.http import limits
from tiffin.runtime.http.app import create_app
from tiffin.runtime.http.asgi import AsgiPrediction, PredictionApp
from tiffin.runtime.http.socket_prediction import SocketPrediction


def broken(*args: Any) -> None:
    raise RuntimeError("no answer today")


@pytest.fixture
def _broken(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "tiffin.http")
    monkeypatch.setattr(SocketPrediction, "answer", broken)
    monkeypatch.setattr(AsgiPrediction, "answer", broken)


@pytest.mark.usefixtures("_broken")
def test_the_connection_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @on_server()
    async def check(server: Running) -> None:
        async with await server.connect() as client:
            await client.send(post("/echo", b'{"x":1}'))
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.answer()
        monkeypatch.undo()
        async with await server.connect() as client:  # the next caller is served
            await client.send(post("/echo", b'{"x":1}'))
            assert (await client.answer()).body == b"1"
        assert server.state.in_flight == 0

    check(tmp_path, "uvloop")


@pytest.mark.usefixtures("_broken")
def test_the_asgi_server_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        state = server_state(tmp_path)
        app = PredictionApp(state, create_app(state))
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            with pytest.raises(InferenceError):
                await client.post("/echo", json={"x": 1}, timeout=60)

    asyncio.run(main())


BEHIND = post("/echo", b'{"x":3}') * 100_000
LAST = [
    post("/echo", b'{"x":2}', "connection: close"),
    post("/echo", b'{"x":2}', version="1.0"),
    get("/livez", "connection: close"),
]


@on_server()
async def test_what_comes_behind_the_last_request_resets_nothing(server: Running) -> None:
    """A connection that is closed with bytes unread is reset, and what was answered may be lost."""
    for last in LAST:
        async with await server.connect() as client:
            await client.send(post("/echo", b'{"x":1}') + last + BEHIND)  # more than is read at once
            assert (await client.answer()).body == b"1"
            assert (await client.answer()).headers["connection"] == "close"
            assert await client.ended()


@on_server()
async def test_who_does_not_close_is_closed(server: Running) -> None:
    for last in LAST:
        async with await server.connect() as client:
            await client.send(last)
            assert (await client.answer()).status == 200
            assert await client.ended()
            [connection] = server.server.server_state.connections
            connection.sweep(connection.now + limits.LINGER_S + 1)  # type: ignore[union-attr]
            await server.until(lambda: not server.server.server_state.connections)
