"""The ASGI door gives the same answers as the socket's."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_server import running
from http_service import server_state

from tiffin.errors import InferenceError
from tiffin.runtime.http.app import create_app
from tiffin.runtime.http.asgi import PredictionApp

JSON = {"content-type": "application/json"}
CASES: list[tuple[str, str, bytes, dict[str, str]]] = [
    ("POST", "/echo", b'{"x":[1,2]}', JSON),
    ("POST", "/echo", b'{"x":', JSON),
    ("POST", "/echo", b'{"y":1}', {}),
    ("POST", "/echo", b"x", {"content-type": "application/pdf"}),
    ("POST", "/echo", b"raw", {"content-type": "application/octet-stream"}),
    ("POST", "/echo?a=%20", b"", {"content-type": "text/query"}),
    ("POST", "/echo", gzip.compress(b'{"x":1}', mtime=0), JSON | {"content-encoding": "gzip"}),
    ("POST", "/echo", b"not gzip", JSON | {"content-encoding": "gzip"}),
    ("POST", "/echo", b"{}", JSON | {"content-encoding": "br"}),
    ("POST", "/echo", gzip.compress(b" " * 2_000_000, mtime=0), JSON | {"content-encoding": "gzip"}),
    ("POST", "/echo", b" " * 1_000_001, JSON),
    ("POST", "/echo", b'{"x":1}', JSON | {"accept": "image/png"}),
    ("POST", "/echo", b'{"x":1}', JSON | {"x-request-timeout": "soon"}),
    ("POST", "/hold", b'{"x":1}', JSON | {"x-request-timeout": "0.05"}),
    ("POST", "/%65cho", b'{"x":1}', JSON),
    ("GET", "/echo", b"", {}),
    ("HEAD", "/echo", b"", {}),
    ("OPTIONS", "/echo", b"", {}),
    ("POST", "/nothing", b"{}", {}),
    ("POST", "/sync", b'{"x":"y"}', JSON),
    ("POST", "/fail", b'{"x":"full"}', JSON),
    ("POST", "/fail", b'{"x":"exit"}', JSON),
    ("POST", "/count", b'{"x":3}', JSON),
    ("POST", "/count", b'{"x":20}', JSON),
    ("POST", "/count", b'{"x":"?"}', JSON),
    ("POST", "/raw", b'{"x":3}', JSON),
    ("POST", "/ecko", b"{}", JSON),
    ("GET", "/livez", b"", {}),
]
KEPT = ("content-type", "allow", "retry-after", "accept-encoding", "x-request-id", "cache-control")


@pytest.mark.parametrize(("method", "path", "body", "headers"), CASES)
def test_both_doors_agree(
    tmp_path: Path, method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    async def main() -> tuple[Any, Any]:
        state = server_state(tmp_path)
        asked = {"headers": {**headers, "x-request-id": "same"}, "content": body}
        transport = httpx.ASGITransport(PredictionApp(state, create_app(state)))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            one = await client.request(method, path, **asked)  # type: ignore[arg-type]
        async with running(state) as server, httpx.AsyncClient() as client:
            two = await client.request(method, f"http://127.0.0.1:{server.port}{path}", **asked)  # type: ignore[arg-type]
        assert state.in_flight == 0 == state.metrics.in_flight  # type: ignore[attr-defined]
        counted = state.metrics.ended  # type: ignore[attr-defined]
        assert len(counted) == 2 and counted[0] == counted[1]
        return one, two

    one, two = asyncio.run(main())
    assert one.status_code == two.status_code
    assert one.content == two.content
    for name in KEPT:
        assert one.headers.get(name) == two.headers.get(name), name


async def _call(app: Any, body: bytes, *, path: str, gone: asyncio.Event) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [],
        "query_string": b"",
        "client": None,
    }
    await asyncio.wait_for(app(scope, receive, send), 10)
    return sent


def test_disconnect_cancels(tmp_path: Path) -> None:
    async def main() -> None:
        state = server_state(tmp_path)
        gone = asyncio.Event()
        call = asyncio.create_task(
            _call(PredictionApp(state, create_app(state)), b'{"x":1}', path="/hold", gone=gone)
        )
        await state.instance.entered.wait()  # type: ignore[attr-defined]
        gone.set()
        assert await call == []
        await asyncio.sleep(0)
        assert state.instance.seen == ["cancelled"]  # type: ignore[attr-defined]
        assert state.metrics.ended == [("/hold", "POST", 499)]  # type: ignore[attr-defined]

    asyncio.run(main())


def test_broken_raw_stream_raises(tmp_path: Path) -> None:
    """The server must see that the answer is cut short; only an exception tells it."""

    async def main() -> None:
        state = server_state(tmp_path)
        with pytest.raises(InferenceError, match="its reason is in the log"):
            await _call(
                PredictionApp(state, create_app(state)), b'{"x":20}', path="/raw", gone=asyncio.Event()
            )

    asyncio.run(main())


def test_nearest_route_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        state = server_state(tmp_path)
        sent = await _call(create_app(state), b"", path="/ech", gone=asyncio.Event())
        assert "did you mean /echo" in json.loads(sent[1]["body"])["detail"]

    asyncio.run(main())
