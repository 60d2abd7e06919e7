"""Tokens on the HTTP port: the short way of predictions, the ASGI door, pages and platforms."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_server import Running, get, on_server, post, running
from http_service import server_state
from words_service import words_state

from tiffin.runtime.http.app import create_app
from tiffin.runtime.http.asgi import PredictionApp
from tiffin.runtime.http.pages import FILES, PAGES

TOKENS = """
shop  shop-secret-000000  predict
graf  graf-secret-000000  metrics
ops   root-secret-000000  manage
brief brief-secret-00000  all 2000-01-31
"""
SHOP, GRAF, OPS, BRIEF = (
    f"authorization: Bearer {name}-secret-00000{end}"
    for name, end in (("shop", "0"), ("graf", "0"), ("root", "0"), ("brief", ""))
)
OPEN = ["/livez", "/readyz", "/healthz", *(path for path in PAGES if path != "/debug/batching"), *FILES]
CLOSED = {
    "/schema": SHOP,
    "/schema.yaml": SHOP,
    "/pages/service.json": SHOP,
    "/metrics": GRAF,
    "/debug/batching": OPS,
}


@on_server(auth_tokens=TOKENS)
async def test_predictions_ask_for_a_token(server: Running) -> None:
    async with await server.connect() as client:
        for header, status in (
            ((), 401),
            ((SHOP,), 200),
            ((SHOP,), 200),
            ((SHOP + "0",), 401),
            ((BRIEF,), 401),
            ((GRAF,), 403),
            ((SHOP, SHOP), 401),
            ((SHOP,), 200),
        ):
            for _ in range(2):
                await client.send(post("/echo", b'{"x": 1}', *header))
                answer = await client.answer()
                assert answer.status == status, header
                challenge = answer.headers.get("www-authenticate", "")
                assert challenge.startswith("Bearer") == (status != 200)
                assert b"secret" not in answer.body
                assert answer.body == b"1" or status != 200
    metrics: Any = server.state.metrics
    assert metrics.turned_away == [
        *["missing"] * 2, *["unknown"] * 2, *["expired"] * 2, *["scope"] * 2, *["malformed"] * 2
    ]  # fmt: skip


@on_server(auth_tokens=TOKENS)
async def test_a_refusal_is_a_problem_and_the_connection_lives(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/echo", b"x" * 100_000, SHOP + "x"))
        answer = await client.answer()
        assert answer.status == 401
        assert answer.headers["content-type"] == "application/problem+json"
        problem = json.loads(answer.body)
        assert problem["type"] == "/docs#problem-unauthorized"
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        await client.send(post("/echo", b'{"x": 1}', SHOP))
        assert (await client.answer()).status == 200


@on_server(auth_tokens=TOKENS)
async def test_whoever_expects_100_continue_is_refused_before_the_body(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(
            b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
        )
        assert (await client.answer()).status == 401


Ask = Callable[..., Awaitable[tuple[int, bytes]]]


def ask_words(tmp_path: Path, test: Callable[[Ask], Awaitable[None]]) -> None:
    async def serve() -> None:
        state = words_state(tmp_path, auth_tokens=TOKENS)
        async with running(state) as server, await server.connect() as client:

            async def ask(path: str, *headers: str, method: str = "GET") -> tuple[int, bytes]:
                await client.send(get(path, *headers, method=method))
                answer = await client.answer(head=method == "HEAD")
                return answer.status, answer.body

            await test(ask)
        state.metrics.close()

    asyncio.run(asyncio.wait_for(serve(), 60))


def test_other_routes(tmp_path: Path) -> None:
    async def test(ask: Ask) -> None:
        async def status(path: str, *headers: str, method: str = "GET") -> int:
            return (await ask(path, *headers, method=method))[0]

        for path in OPEN:
            assert await status(path) == 200, path
            assert await status(path, method="HEAD") == 200, path
        for path, right in CLOSED.items():
            for method in ("GET", "HEAD"):
                assert await status(path, method=method) == 401, path
                assert await status(path, SHOP + "x", method=method) == 401, path
                assert await status(path, right, method=method) == 200, path
                for wrong in {SHOP, GRAF, OPS} - {right}:
                    assert await status(path, wrong, method=method) == 403, path
        assert await status("/debug/batching", "accept: text/html") == 200  # the empty page
        for odd in ("/metrics/", "//metrics", "/%6detrics", "/debug//batching", "/debug/batching/"):
            assert await status(odd) == 401, odd
            assert await status(odd, SHOP) in (403, 404), odd
        assert await status("/nowhere") == 401
        assert await status("/nowhere", SHOP) == 404
        assert await status("/count") == 401
        assert await status("/count", SHOP) == 405
        assert await status("/metrics", method="DELETE") == 401
        assert await status("/metrics", SHOP, method="DELETE") == 405
        assert await status("/count", method="OPTIONS") == 204
        _, page = await ask("/metrics", GRAF)
        assert b'tiffin_unauthorized_total{reason="unknown",service="words"} 10.0' in page

    ask_words(tmp_path, test)


def test_strangers_learn_no_names(tmp_path: Path) -> None:
    async def test(ask: Ask) -> None:
        for path in (*OPEN, "/nowhere", "/metrics", *CLOSED):
            if path not in ("/readyz", "/healthz"):  # they name the service and its runners
                _, body = await ask(path, "accept: text/html")
                assert b"/count" not in body, path
                assert b'"words"' not in body, path

    ask_words(tmp_path, test)


def serve_file(tmp_path: Path, test: Any) -> None:
    file = tmp_path / "tokens"
    file.write_text("shop old-secret-0000000 predict\n")

    async def serve() -> None:
        async with running(server_state(tmp_path, auth_file=str(file))) as server:
            await test(server, file)

    asyncio.run(asyncio.wait_for(serve(), 60))


def test_a_known_head_does_not_outlive_its_token(tmp_path: Path) -> None:
    async def test(server: Running, file: Path) -> None:
        async with await server.connect() as client:

            async def status(name: str) -> int:
                await client.send(post("/echo", b'{"x": 1}', f"authorization: Bearer {name}-secret-0000000"))
                return (await client.answer()).status

            assert [await status("old") for _ in range(3)] == [200, 200, 200]
            assert server.state.serving is not None
            assert len(server.state.serving.known_heads.by_bytes) == 1
            file.write_text("shop new-secret-0000000 predict\n")  # noqa: ASYNC240
            assert server.state.serving.guard is not None
            server.state.serving.guard.look()
            server.state.serving.guard.look()
            assert [await status("old") for _ in range(2)] == [401, 401]
            assert [await status("new") for _ in range(2)] == [200, 200]

    serve_file(tmp_path, test)


def test_a_known_head_does_not_outlive_the_end_of_its_token(tmp_path: Path) -> None:
    async def main() -> None:
        state = server_state(tmp_path, auth_tokens="brief brief-secret-00000 all 2099-01-31")
        async with running(state) as server, await server.connect() as client:
            assert state.serving is not None
            guard = state.serving.guard
            assert guard is not None
            for now, status in ((0.0, 200), (0.0, 200), (5e9, 401)):
                guard._clock = lambda now=now: now  # type: ignore[misc]
                guard.look()  # it is called at that moment: test_guard.py
                await client.send(post("/echo", b'{"x": 1}', "authorization: Bearer brief-secret-00000"))
                assert (await client.answer()).status == status
                assert len(state.serving.known_heads.by_bytes) == (status == 200)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_the_file_is_watched_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiffin.runtime.auth.guard.LOOK_EVERY_S", 0.005)

    async def test(server: Running, file: Path) -> None:
        assert server.state.serving is not None
        heads = server.state.serving.known_heads.by_bytes
        async with await server.connect() as client:
            await client.send(post("/echo", b'{"x": 1}', "authorization: Bearer old-secret-0000000"))
            assert (await client.answer()).status == 200
            file.write_text("")  # noqa: ASYNC240
            await server.until(lambda: not heads)
            await client.send(post("/echo", b'{"x": 1}', "authorization: Bearer old-secret-0000000"))
            assert (await client.answer()).status == 401

    serve_file(tmp_path, test)


def test_the_asgi_door_asks_as_well(tmp_path: Path) -> None:
    async def ask() -> None:
        state = server_state(tmp_path, auth_tokens=TOKENS)
        app: Any = PredictionApp(state, create_app(state))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for token, status in (("", 401), ("shop", 200), ("graf", 403), ("none", 401)):
                headers = {"authorization": f"Bearer {token}-secret-000000"} if token else {}
                answer = await client.post("/echo", json={"x": 1}, headers=headers)
                assert answer.status_code == status
                assert ("www-authenticate" in answer.headers) == (status != 200)

    asyncio.run(ask())


def test_routes_of_platforms_ask_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(chosen: str) -> None:
        monkeypatch.setenv("TIFFIN_INVOCATIONS_API", chosen)
        state = server_state(tmp_path, auth_tokens=TOKENS, platform="sagemaker")
        transport = httpx.ASGITransport(app=create_app(state))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            shop = {"authorization": "Bearer shop-secret-000000"}
            assert (await client.get("/ping")).status_code == 200
            for path, method in (("/invocations", "POST"), ("/execution-parameters", "GET")):
                refused = await client.request(method, path, content=b'{"x": 1}')
                assert refused.status_code == 401, path
                assert refused.headers["www-authenticate"].startswith("Bearer")
                answer = await client.request(method, path, content=b'{"x": 1}', headers=shop)
                assert answer.status_code == (200 if chosen or method == "GET" else 404)

    for chosen in ("echo", ""):
        asyncio.run(ask(chosen))


def test_instances_are_not_read_for_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/predict")
    monkeypatch.setenv("TIFFIN_INVOCATIONS_API", "echo")

    async def ask() -> None:
        state = server_state(tmp_path, auth_tokens=TOKENS, platform="vertex-ai")
        app = create_app(state)
        sent: list[dict[str, Any]] = []
        received: list[int] = []

        async def receive() -> dict[str, Any]:
            received.append(1)
            if len(received) > 50:
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "client": None,
            "headers": [(b"content-type", b"application/json")], "query_string": b"",
        }  # fmt: skip
        await app(scope, receive, send)
        assert sent[0]["status"] == 401
        assert len(sent) == 2

    asyncio.run(ask())


def test_tokens_are_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def serve() -> None:
        state = server_state(tmp_path, auth_tokens=TOKENS)
        async with running(state) as server, await server.connect() as client:
            for header in (
                SHOP,
                SHOP + "x",
                GRAF,
                "authorization: Bearer a-secret b",
                "authorization: secret",
            ):
                await client.send(post("/echo", b'{"x": 1}', header))
                await client.answer()
            await client.send(post("/fail", b'{"x": "value"}', SHOP))
            await client.answer()
        assert "secret" not in repr(state.serving)

    asyncio.run(serve())
    assert "/fail failed" in caplog.text
    assert "-secret" not in caplog.text
