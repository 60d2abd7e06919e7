"""Whatever comes over a connection, the server answers the next good one."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
import uvloop
from http_server import Running, get, on_server, post, running
from http_service import server_state
from hypothesis import given, settings
from hypothesis import strategies as st

HEADERS = [
    b"host: a\r\n",
    b"content-length: 7\r\n",
    b"content-length: 70\r\n",
    b"content-length: x\r\n",
    b"transfer-encoding: chunked\r\n",
    b"connection: close\r\n",
    b"connection: keep-alive\r\n",
    b"connection: upgrade\r\nupgrade: h2c\r\n",
    b"expect: 100-continue\r\n",
    b"content-encoding: gzip\r\n",
    b"accept: image/png\r\n",
    b"x-request-timeout: 0.001\r\n",
]
REQUESTS = [
    post("/echo", b'{"x":1}'),
    get("/livez"),
    post("/count", b'{"x":2}'),
    post("/hold", b'{"x":1}'),
    post("/fail", b'{"x":"a"}'),
    post("/sync", b'{"x":"a"}'),
]
WORDS = [
    *(b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"/echo", b"/livez", b"/count", b"?x=1"),
    *(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n", b"\r\n\r\n", b"\n", b'{"x":1}', b'{"x":3}'),
    *(b"5\r\n", b"0\r\n\r\n", b"7\r\n", b"zz", b"\0", b"\xff\xfe", b"a" * 2000),
]
FRAGMENTS = HEADERS + REQUESTS + WORDS

_bytes = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=40)), max_size=14)


async def _attack(server: Running, pieces: list[bytes], *, whole: bool) -> None:
    client = await server.connect()
    try:
        for piece in [b"".join(pieces)] if whole else pieces:
            client.writer.write(piece)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        client.writer.transport.abort()


async def _check(server: Running) -> None:
    while server.state.in_flight:
        for connection in list(server.server.server_state.connections):
            connection.sweep(connection.now)  # type: ignore[union-attr]
        await asyncio.sleep(0.001)
    async with await server.connect() as client:
        await client.send(post("/echo", b'{"x":1}') + get("/livez"))
        assert (await client.answer()).body == b"1"
        assert (await client.answer()).body == b'{"live":true}'
    await server.until(lambda: not server.server.server_state.connections)
    assert server.state.metrics.in_flight == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_any_bytes(tmp_path: Path, loop: str) -> None:
    made = uvloop.new_event_loop() if loop == "uvloop" else asyncio.new_event_loop()
    failures: list[object] = []
    made.set_exception_handler(lambda _, context: failures.append(context))
    context = running(server_state(tmp_path))
    server = made.run_until_complete(context.__aenter__())
    try:

        @settings(max_examples=150, deadline=None)
        @given(pieces=_bytes, whole=st.booleans())
        def attack(pieces: list[bytes], whole: bool) -> None:
            made.run_until_complete(_attack(server, pieces, whole=whole))
            made.run_until_complete(asyncio.wait_for(_check(server), 20))
            assert not failures

        attack()
    finally:
        made.run_until_complete(context.__aexit__(None, None, None))
        made.close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_good_requests_cut_anywhere(tmp_path: Path, loop: str) -> None:
    """The same stream of requests in random pieces gives the same answers."""
    requests = [
        (post("/echo", b'{"x":"%d"}' % number), b'"%d"' % number)
        if number % 3
        else (get("/livez"), b'{"live":true}')
        for number in range(20)
    ]
    stream = b"".join(request for request, _ in requests)
    chance = random.Random(7)

    async def main() -> None:
        async with running(server_state(tmp_path)) as server:
            for _ in range(40):
                async with await server.connect() as client:
                    at = 0
                    while at < len(stream):
                        step = chance.choice((1, 3, 17, 200, 2000))
                        await client.send(stream[at : at + step])
                        at += step
                        await asyncio.sleep(0)
                    for _, body in requests:
                        assert (await client.answer()).body == body

    made = uvloop.new_event_loop() if loop == "uvloop" else asyncio.new_event_loop()
    made.run_until_complete(asyncio.wait_for(main(), 60))
    made.close()


@on_server()
async def test_a_host_that_is_none(server: Running) -> None:
    for path in (b"/schema", b"/metrics", b"/livez"):
        async with await server.connect() as client:
            await client.send(b"GET %b HTTP/1.1\r\nhost: \xff\r\n\r\n" % path)
            answer = await client.answer()
            assert answer.status == 400
            assert answer.headers["content-type"] == "application/problem+json"
