"""A failure while the answer is written: the caller sees it at once and waits for nothing."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_server import Running, on_server, post
from http_service import server_state

from tiffin.errors import InferenceError
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
