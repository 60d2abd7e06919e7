"""What stands in front: a prefix of all paths, and CORS; on the short way and through ASGI."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_server import Running, get, on_server, post, running
from http_service import server_state
from words_service import words_state

from tiffin.runtime.http.app import create_app
from tiffin.runtime.http.asgi import PredictionApp
from tiffin.runtime.http.cors import EXPOSED, Cors

SHOP = "origin: https://shop.example.com"
PREFLIGHT = ("access-control-request-method: POST", "access-control-request-headers: authorization, X-Note")


@on_server(path_prefix="/ml/iris")
async def test_everything_is_below_the_prefix(server: Running) -> None:
    async with await server.connect() as client:

        async def ask(request: bytes) -> Any:
            await client.send(request)
            return await client.answer()

        for path in ("/ml/iris/echo", "/%6dl/iris/echo", "/ml/iris/e%63ho"):
            for _ in range(2):
                answer = await ask(post(path, b'{"x": 1}'))
                assert (answer.status, answer.body) == (200, b"1"), path
        for path in ("/echo", "/ml/iris/ml/iris/echo", "/ml/irisecho", "/ml/iris2/echo", "/ml", "/"):
            assert (await ask(post(path, b'{"x": 1}'))).status == 404, path
        for path in ("/ml/iris/", "/ml/iris/docs", "/ml/iris/metrics", "/ml/iris/pages/page.css"):
            assert (await ask(get(path))).status == 200, path
            assert path == "/ml/iris/" or (await ask(get(path.removeprefix("/ml/iris")))).status == 404
        for probe in ("/livez", "/readyz", "/healthz"):
            assert (await ask(get(probe))).status == 200
            assert (await ask(get(f"/ml/iris{probe}"))).status == 200
        moved = await ask(get("/ml/iris?x=1"))
        assert (moved.status, moved.headers["location"]) == (308, "/ml/iris/?x=1")
        assert b'href="docs"' in (await ask(get("/ml/iris/"))).body  # links are relative
        outside = await ask(get("/nowhere"))
        assert outside.status == 404
        assert outside.headers["content-type"] == "application/problem+json"
        assert len(outside.headers["x-request-id"]) > 10
        assert "/ml/iris" not in outside.body.decode()
        query = await ask(post("/ml/iris/echo?y=5", b'{"x": 1}'))
        assert query.status == 200
    metrics: Any = server.state.metrics
    assert ("/echo", "POST", 200) in metrics.ended  # the label is the route's, whatever the prefix
    assert not any("ml" in route for route, _, _ in metrics.ended)


@on_server(path_prefix="/v2")
async def test_a_prefix_may_look_like_a_route(server: Running) -> None:
    async with await server.connect() as client:
        for path in ("/v2/v2/health/live", "/v2/health/live", "/v2/livez"):
            await client.send(get(path))
            assert (await client.answer()).status == 200, path


def test_websockets_are_below_the_prefix_too(tmp_path: Path) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    from tiffin.runtime.http.websocket_protocol import websocket_options

    async def main() -> None:
        state = words_state(tmp_path, path_prefix="/ml")
        async with running(state, **websocket_options(state)) as server:
            where = f"ws://127.0.0.1:{server.port}"
            async with connect(f"{where}/ml/count", proxy=None) as connection:
                await connection.send('{"text": "a b c"}')
                assert "3" in str(await connection.recv())
            with pytest.raises(InvalidStatus) as refusal:
                async with connect(f"{where}/count", proxy=None):
                    pass
            assert refusal.value.response.status_code == 403
        state.metrics.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def fetch(tmp_path: Path, *requests: tuple[str, str, dict[str, str]], **options: Any) -> list[httpx.Response]:
    async def main() -> list[httpx.Response]:
        state = server_state(tmp_path, **options)
        app: Any = PredictionApp(state, create_app(state))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [
                await client.request(method, path, headers=headers, content=b'{"x": 1}')
                for method, path, headers in requests
            ]

    return asyncio.run(main())


def test_the_asgi_door_has_the_prefix_as_well(tmp_path: Path) -> None:
    found = fetch(
        tmp_path,
        ("POST", "/ml/echo", {}),
        ("POST", "/echo", {}),
        ("GET", "/ml/livez", {}),
        path_prefix="/ml",
    )
    assert [answer.status_code for answer in found] == [200, 404, 200]


def test_routes_of_platforms_stay_where_the_platform_asks(tmp_path: Path) -> None:
    found = fetch(tmp_path, ("GET", "/ping", {}), path_prefix="/ml", platform="sagemaker")
    assert found[0].status_code == 200


@on_server(cors_origins=["https://shop.example.com", "http://localhost:8080"])
async def test_pages_of_named_origins_may_call(server: Running) -> None:
    async with await server.connect() as client:

        async def ask(request: bytes) -> Any:
            await client.send(request)
            return await client.answer()

        for path, request in (("/echo", post), ("/livez", get), ("/nowhere", get)):
            body = (b'{"x": 1}',) if request is post else ()
            for _ in range(2):
                answer = await ask(request(path, *body, SHOP))
                assert answer.headers["access-control-allow-origin"] == "https://shop.example.com", path
                assert answer.headers["access-control-allow-credentials"] == "true"
                assert answer.headers["access-control-expose-headers"] == EXPOSED.decode()
                assert "origin" in answer.headers["vary"]
            for other in (
                (),
                ("origin: https://evil.example.com",),
                ("origin: null",),
                ("origin: https://shop.example.com.evil.com",),
                ("origin: http://shop.example.com",),
                (SHOP, SHOP),
            ):
                answer = await ask(request(path, *body, *other))
                assert "access-control-allow-origin" not in answer.headers, other
                assert "origin" in answer.headers["vary"]


@on_server(cors_origins=["https://shop.example.com"])
async def test_preflights(server: Running) -> None:
    async with await server.connect() as client:
        for path in ("/echo", "/livez", "/v2/models/echo/infer"):
            await client.send(get(path, SHOP, *PREFLIGHT, method="OPTIONS"))
            answer = await client.answer()
            assert answer.status == 204, path
            assert "POST" in answer.headers["access-control-allow-methods"]
            assert answer.headers["access-control-allow-headers"] == "authorization, X-Note"
            assert answer.headers["access-control-max-age"] == "600"
            assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
            await client.send(get(path, "origin: https://evil.com", *PREFLIGHT, method="OPTIONS"))
            answer = await client.answer()
            assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-methods" not in answer.headers


@on_server(cors_origins=["*"])
async def test_any_page_may_call_but_not_with_cookies(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/echo", b'{"x": 1}', "origin: https://evil.com"))
        answer = await client.answer()
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert "vary" not in answer.headers
        await client.send(post("/echo", b'{"x": 1}'))
        assert not any(name.startswith("access-control") for name in (await client.answer()).headers)


@on_server(cors_origins=["*"], auth_tokens="a some-secret-000000 all", path_prefix="/ml")
async def test_errors_can_be_read_too_and_preflights_need_no_token(server: Running) -> None:
    async with await server.connect() as client:
        for path in ("/ml/echo", "/ml/schema"):
            await client.send(get(path, "origin: https://a.org", *PREFLIGHT, method="OPTIONS"))
            assert (await client.answer()).status == 204
            await client.send(post(path, b'{"x": 1}', "origin: https://a.org"))
            answer = await client.answer()
            assert answer.status == 401
            assert answer.headers["access-control-allow-origin"] == "*"
        await client.send(
            post(
                "/ml/count", b'{"x": 2}', "origin: https://a.org", "authorization: Bearer some-secret-000000"
            )
        )
        status, headers = await client.head()
        assert (status, headers["access-control-allow-origin"]) == (200, "*")
        assert [chunk async for chunk in client.chunks()]


@on_server()
async def test_without_origins_nothing_is_said(server: Running) -> None:
    async with await server.connect() as client:
        for request in (post("/echo", b'{"x": 1}', SHOP), get("/livez", SHOP)):
            await client.send(request)
            answer = await client.answer()
            assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_asgi_door_says_the_same_once(tmp_path: Path) -> None:
    headers = {"origin": "https://shop.example.com"}
    for platform in ("", "sagemaker"):
        found = fetch(
            tmp_path,
            ("POST", "/echo", headers),
            ("GET", "/livez", headers),
            ("POST", "/invocations", headers),
            cors_origins=["https://shop.example.com"],
            platform=platform,
        )
        for answer in found:
            assert answer.headers.get_list("access-control-allow-origin") == ["https://shop.example.com"]


@pytest.mark.parametrize("names", [b"x\r\nset-cookie: a=b", b"a b", b"", b"a,,b", b"a;b", b"\xff"])
def test_names_that_are_none_are_not_repeated(names: bytes) -> None:
    request = {
        b"origin": b"https://a.org",
        b"access-control-request-method": b"POST",
        b"access-control-request-headers": names,
    }
    fields = dict(Cors(["https://a.org"]).fields(b"OPTIONS", request))
    assert b"access-control-allow-methods" in fields
    assert b"access-control-allow-headers" not in fields


def test_the_openapi_document_says_prefix_and_token(tmp_path: Path) -> None:
    async def schema(**options: Any) -> Any:
        state = words_state(tmp_path, **options)
        transport = httpx.ASGITransport(app=create_app(state))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            bearer = {"authorization": "Bearer some-secret-000000"}
            prefix = options.get("path_prefix", "")
            found = json.loads((await client.get(f"{prefix}/schema", headers=bearer)).content)
        state.metrics.close()
        return found

    plain = asyncio.run(schema())
    assert "servers" not in plain
    assert "security" not in plain
    told = asyncio.run(schema(path_prefix="/ml", auth_tokens="a some-secret-000000 all"))
    assert told["servers"] == [{"url": "/ml"}]
    assert told["security"] == [{"token": []}]
    assert told["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert {"401", "403"} <= set(told["paths"]["/count"]["post"]["responses"])
