"""No way in without a token: every route of every HTTP protocol, and WebSockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from http_server import Client, Running, running
from words_service import words_state

TOKENS = """
shop  shop-secret-000000  predict
graf  graf-secret-000000  metrics
root  root-secret-000000  manage
past  past-secret-000000  all 2020-01-01
"""
NAMES = {"predict": "shop", "metrics": "graf", "manage": "root"}
TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a b c"]}
INFER = {"inputs": [TENSOR]}
CALLS: list[tuple[str, Any]] = [
    ("/count", {"text": "a b c"}),
    ("/v2/models/words/infer", INFER),
    ("/v2/models/words.count/versions/1/infer", INFER),
    ("/v2/models/words/generate", {"text": "a b c"}),
    ("/v2/models/words/generate_stream", {"text": "a b c"}),
    ("/v1/models/words:predict", {"instances": ["a b c"]}),
    ("/v1/models/words/versions/1:predict", {"instances": ["a b c"]}),
    ("/predictions/words", {"text": "a b c"}),
    ("/predictions/words/1.0", {"text": "a b c"}),
]
PAGES: list[tuple[str, str, str]] = [
    ("GET", "/v2", "predict"),
    ("GET", "/v2/models/words", "predict"),
    ("GET", "/v2/models/words/ready", "predict"),
    ("GET", "/v2/models/words/config", "predict"),
    ("GET", "/v2/models/words/stats", "metrics"),
    ("GET", "/v2/models/stats", "metrics"),
    ("POST", "/v2/repository/index", "predict"),
    ("POST", "/v2/repository/models/words/load", "manage"),
    ("POST", "/v2/repository/models/words/unload", "manage"),
    ("GET", "/v2/logging", "manage"),
    ("POST", "/v2/logging", "manage"),
    ("GET", "/v2/trace/setting", "manage"),
    ("GET", "/v2/systemsharedmemory/status", "manage"),
    ("POST", "/v2/systemsharedmemory/region/a/register", "manage"),
    ("POST", "/v2/cudasharedmemory/region/a/register", "manage"),
    ("GET", "/v1/models", "predict"),
    ("GET", "/v1/models/words", "predict"),
    ("GET", "/v1/models/words/metadata", "predict"),
    ("GET", "/models", "predict"),
    ("GET", "/models/words", "predict"),
    ("GET", "/schema", "predict"),
    ("GET", "/pages/service.json", "predict"),
    ("GET", "/metrics", "metrics"),
    ("GET", "/debug/batching", "manage"),
]
OPEN = ["/livez", "/readyz", "/healthz", "/v2/health/live", "/v2/health/ready", "/ping", "/", "/docs"]


def request(method: str, path: str, body: Any, *headers: str) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {len(data)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + data


def bearer(name: str) -> tuple[str, ...]:
    return (f"authorization: Bearer {name}-secret-000000",) if name else ()


def serve(tmp_path: Path, test: Callable[[Running, Client], Awaitable[None]], **config: Any) -> None:
    async def main() -> None:
        state = words_state(tmp_path, auth_tokens=TOKENS)
        async with running(state, **config) as server, await server.connect() as client:
            await test(server, client)
        state.metrics.close()

    asyncio.run(asyncio.wait_for(main(), 60))


async def status(client: Client, data: bytes, *, stream: bool = False) -> tuple[int, dict[str, str]]:
    await client.send(data)
    if stream:
        code, headers = await client.head()
        if headers.get("transfer-encoding") == "chunked":
            async for _ in client.chunks():
                pass
        else:
            await client.reader.readexactly(int(headers["content-length"]))
        return code, headers
    answer = await client.answer()
    return answer.status, answer.headers


@pytest.mark.parametrize(("path", "body"), CALLS)
def test_predictions(tmp_path: Path, path: str, body: Any) -> None:
    async def test(_: Running, client: Client) -> None:
        for name, code in (
            ("", 401),
            ("none", 401),
            ("past", 401),
            ("graf", 403),
            ("root", 403),
            ("shop", 200),
        ):
            for _ in range(2):
                data = request("POST", path, body, "content-type: application/json", *bearer(name))
                got, headers = await status(client, data, stream=path.endswith("_stream"))
                assert got == code, (path, name)
                assert headers.get("www-authenticate", "").startswith("Bearer") == (code != 200)

    serve(tmp_path, test)


def test_pages(tmp_path: Path) -> None:
    async def test(_: Running, client: Client) -> None:
        for method, path, scope in PAGES:
            body = {} if method == "POST" else None
            for name in ("", "none", "past"):
                code, headers = await status(client, request(method, path, body, *bearer(name)))
                assert (code, "www-authenticate" in headers) == (401, True), (method, path, name)
            for other in NAMES.keys() - {scope}:
                code, headers = await status(client, request(method, path, body, *bearer(NAMES[other])))
                assert (code, "www-authenticate" in headers) == (403, True), (method, path, other)
            code, _headers = await status(client, request(method, path, body, *bearer(NAMES[scope])))
            assert code not in (401, 403, 404, 405), (method, path, code)
        for path in OPEN:
            assert (await status(client, request("GET", path, None)))[0] == 200, path
        # Whether a path exists, and what it takes, is told to those who may ask.
        for method, path in (("GET", "/nothing"), ("GET", "/v2/nothing"), ("PUT", "/v2"), ("GET", "/v1/x/y")):
            assert (await status(client, request(method, path, None)))[0] == 401, path
            code, _ = await status(client, request(method, path, None, *bearer("shop")))
            assert code in (404, 405), path

    serve(tmp_path, test)


def test_websockets(tmp_path: Path) -> None:
    import websockets.asyncio.client as client_room
    from websockets.exceptions import InvalidStatus

    from tiffin.runtime.http.websocket_protocol import websocket_options

    async def main() -> None:
        state = words_state(tmp_path, auth_tokens=TOKENS)
        async with running(state, **websocket_options(state)) as server:
            url = f"ws://127.0.0.1:{server.port}/count"
            for name, code in (("", 401), ("none", 401), ("past", 401), ("graf", 403), ("shop", 101)):
                headers = {"authorization": f"Bearer {name}-secret-000000"} if name else {}
                try:
                    async with client_room.connect(url, additional_headers=headers, proxy=None) as connection:
                        await connection.send(json.dumps({"text": "a b c"}))
                        assert "3" in str(await connection.recv())
                        found = 101
                except InvalidStatus as error:
                    found = error.response.status_code
                assert found == code, name
        state.metrics.close()

    asyncio.run(asyncio.wait_for(main(), 60))
