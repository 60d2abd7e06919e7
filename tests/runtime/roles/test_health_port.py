"""The small HTTP of a worker container."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tiffin.runtime.roles import health
from tiffin.runtime.roles.health import Health
from tiffin.runtime.supervisor.sockets import listen

PAGES = {
    "/livez": lambda _accept: (200, "text/plain", b"yes"),
    "/readyz": lambda _accept: (503, "application/json", b"{}"),
    "/metrics": lambda accept: (200, "text/plain", accept.strip().encode()),
}


def with_port(scene: Callable[[int], Awaitable[None]]) -> None:
    async def whole() -> None:
        sockets = listen("127.0.0.1", 0)
        port = Health(sockets, PAGES)
        await port.start()
        try:
            await scene(int(sockets[0].getsockname()[1]))
        finally:
            port.close()

    asyncio.run(whole())


def test_pages() -> None:
    async def scene(port: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for method, path, status, body in (
                ("GET", "/livez", 200, "yes"),
                ("HEAD", "/livez", 200, ""),
                ("GET", "/readyz?verbose", 503, "{}"),
                ("POST", "/livez", 405, "use GET\n"),
                ("GET", "/", 404, "here are /livez, /readyz, /metrics\n"),
            ):
                answer = await client.request(method, path)
                assert (answer.status_code, answer.text) == (status, body), (method, path)
            answer = await client.get("/metrics", headers={"accept": "application/openmetrics-text"})
            assert answer.text == "application/openmetrics-text"
            assert answer.headers["connection"] == "close"

    with_port(scene)


async def _say(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"GET", b"GET /livez HTTP/1.1\r\nx: " + b"y" * 10_000])
def test_who_sends_no_request_is_cut_off(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CALLER_S", 0.2)

    async def scene(port: int) -> None:
        assert await _say(port, data) == b""
        monkeypatch.setattr(health, "CALLER_S", 60)
        assert (await _say(port, b"GET /livez HTTP/1.1\r\n\r\n")).endswith(b"yes")

    with_port(scene)


def test_more_than_so_many_at_a_time_are_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_CALLERS", 2)

    async def scene(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert await _say(port, b"GET /livez HTTP/1.1\r\n\r\n") == b""
        for _, writer in silent:
            writer.close()
            await writer.wait_closed()

    with_port(scene)
