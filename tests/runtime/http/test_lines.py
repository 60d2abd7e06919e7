"""Input streams over plain HTTP: lines of JSON, read while the api runs, and lists for everybody else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import httpx
from http_server import Client, Running, get, on_server, post
from stream_service import stream_state

served = on_server(make=stream_state)
LINES = "content-type: application/x-ndjson"


def head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: test", "transfer-encoding: chunked", LINES, *headers, "", ""]
    return "\r\n".join(lines).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def events(client: Client) -> list[str]:
    """What stands behind `data:` in the rest of the answer."""
    text = b"".join([piece async for piece in client.chunks()]).decode()
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


async def problem(client: Client) -> Any:
    answer = await client.answer()
    return answer.status, json.loads(answer.body)


@served
async def test_items_go_both_ways_while_the_request_lasts(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(head("/running?start=10"))
        await client.send(chunk(b"1\n2"))  # the second line is not over
        status, headers = await client.head()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        chunks = client.chunks()
        assert await anext(chunks) == b"data: 11.0\n\n"
        await client.send(chunk(b"0\r\n\n"))
        assert await anext(chunks) == b"data: 31.0\n\n"
        await client.send(chunk(b"4") + b"0\r\n\r\n")
        assert [piece async for piece in chunks] == [b"data: 35.0\n\n", b"event: end\ndata: {}\n\n"]
        await client.send(post("/total", b'{"numbers": [1]}'))  # the connection goes on
        assert (await client.answer()).body == b"1.0"
    assert ("/running", "POST", 200) in server.state.metrics.ended  # type: ignore[attr-defined]
    assert server.state.in_flight == 0


@served
async def test_over_http2(server: Running) -> None:
    """The api begins with the header, and the caller may take long for the rest."""

    async def lines() -> AsyncIterator[bytes]:
        yield b"1\n"
        await server.until(lambda: server.state.in_flight == 1)
        serving: Any = server.state.serving
        for connection in list(serving.sweeper._connections):
            connection.sweep(monotonic() + 1000)
        yield b"20\n"

    url = f"http://127.0.0.1:{server.port}/running?start=10"
    async with httpx.AsyncClient(http1=False, http2=True) as client:
        answer = await client.post(url, content=lines(), headers=dict([LINES.split(": ")]))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
    found = [line for line in answer.text.splitlines() if line.startswith("data")]
    assert found == ["data: 11.0", "data: 31.0", "data: {}"]


@served
async def test_a_body_of_known_length(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/longest", b'{"text": "a"}\n{"text": "bc", "times": 2}\n', LINES))
        assert (await client.answer()).body == b'"bcbc"'


@served
async def test_a_list_in_place_of_a_stream(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/longest", b'{"words": [{"text": "a"}, {"text": "bc"}]}'))
        assert (await client.answer()).body == b'"bc"'
        await client.send(post("/running", b'{"numbers": [1, 2]}'))
        await client.head()
        assert await events(client) == ["1.0", "3.0", "{}"]


@served
async def test_what_does_not_fit(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/longest", b'{"text": "a"}\n{"text": 5}\n', LINES))
        status, said = await problem(client)
        assert (status, said["path"]) == (422, "$.words[1].text")
        await client.send(post("/longest", b'{"text": "a"}\n{"tex', LINES))
        status, said = await problem(client)
        assert (status, said["path"]) == (400, "$.words[1]")
        await client.send(post("/running?start=far", b"1", LINES))
        status, said = await problem(client)
        assert (status, said["path"]) == (422, "$.start")
        await client.send(post("/total", b"1\n", LINES))
        assert (await problem(client))[0] == 415
        await client.send(post("/longest", b"1", LINES, "content-encoding: gzip"))
        assert (await problem(client))[0] == 415
        await client.send(get("/longest", LINES))
        assert (await problem(client))[0] == 405


@on_server(make=stream_state, max_body_bytes=100)
async def test_one_line_is_bounded_and_the_body_is_not(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/first", b'"rose"\n' + b'"iris"\n' * 100, LINES))
        assert (await client.answer()).body == b'"rose"'
    async with await server.connect() as client:
        await client.send(head("/longest") + chunk(b'{"text": "' + b"x" * 200))
        assert (await problem(client))[0] == 413


@served
async def test_hanging_up_cancels(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(head("/longest") + chunk(b'{"text": "a"}\n'))
        await server.until(lambda: server.state.in_flight == 1)
    await server.until(lambda: server.state.in_flight == 0)
    assert server.state.metrics.ended[-1] == ("/longest", "POST", 499)  # type: ignore[attr-defined]


@served
async def test_the_deadline_counts_from_the_header(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(head("/longest", "x-request-timeout: 0.05") + chunk(b'{"text": "a"}\n'))
        assert (await problem(client))[0] == 504


@on_server(make=stream_state, path_prefix="/ml")
async def test_below_a_prefix(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/ml/longest", b'{"text": "a"}\n', LINES))
        assert (await client.answer()).body == b'"a"'


@on_server(make=stream_state, auth_tokens="shop a-token-of-the-tests predict")
async def test_tokens(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/longest", b'{"text": "a"}\n', LINES))
        assert (await problem(client))[0] == 401
        await client.send(
            post("/longest", b'{"text": "a"}\n', LINES, "authorization: Bearer a-token-of-the-tests")
        )
        assert (await client.answer()).body == b'"a"'
