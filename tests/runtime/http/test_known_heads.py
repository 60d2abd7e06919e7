"""Heads that came before, byte for byte, skip the parser: nobody may be able to tell."""

from __future__ import annotations

import asyncio
import random

from http_server import Running, get, on_server, post

from tiffin.runtime.http.head import KnownHeads
from tiffin.runtime.http.protocol import PredictionProtocol

CHUNKED = b'POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{"x":1}\r\n0\r\n\r\n'


def known(server: Running) -> dict[bytes, object]:
    return server.state.serving.known_heads.by_bytes  # type: ignore[union-attr, return-value]


@on_server()
async def test_same_head_is_recognised(server: Running) -> None:
    parsed = 0
    begin = PredictionProtocol.on_message_begin

    def count(protocol: PredictionProtocol) -> None:
        nonlocal parsed
        parsed += 1
        begin(protocol)

    PredictionProtocol.on_message_begin = count  # type: ignore[method-assign]
    try:
        async with await server.connect() as first, await server.connect() as second:
            for number in range(10):
                for client in (first, second):
                    await client.send(post("/echo", b'{"x":%d}' % number))
                    assert (await client.answer()).body == b"%d" % number
    finally:
        PredictionProtocol.on_message_begin = begin  # type: ignore[method-assign]
    assert parsed == 1


@on_server()
async def test_any_cutting_into_packets_gives_the_same_answers(server: Running) -> None:
    """Requests of all kinds, mixed and cut at random, on a connection whose heads are known and unknown."""
    chance = random.Random(7)
    kinds = [
        lambda n: (post("/echo", b'{"x":%d}' % n), 200, b"%d" % n),
        lambda n: (post("/echo", b'{"x":"%s"}' % (b"a\\r\\n\\r\\n" * (n % 3))), 200, None),
        lambda n: (post("/echo?a=1", b'{"x":%d}' % n), 200, b"%d" % n),
        lambda n: (post("/sync", b'{"x":%d}' % n), 200, b"%d" % n),
        lambda n: (post("/echo", b'{"y":%d}' % n), 422, None),
        lambda n: (post("/echo", b"{" + b" " * (n % 10)), 400, None),
        lambda n: (post("/echo", b'{"x":%d}' % n, "accept: image/png"), 406, None),
        lambda n: (post("/echo", b'{"x":%d}' % n, "x-request-timeout: soon"), 400, None),
        lambda n: (CHUNKED, 200, b"1"),
        lambda n: (get("/livez"), 200, b'{"live":true}'),
        lambda n: (get("/nowhere"), 404, None),
        lambda n: (b"\r\n" + post("/echo", b'{"x":5}'), 200, b"5"),
    ]  # fmt: skip
    for _ in range(15):
        wanted = [chance.choice(kinds)(number) for number in range(40)]
        stream = b"".join(request for request, _, _ in wanted)
        async with await server.connect() as client:

            async def send(stream: bytes = stream, client: object = client) -> None:
                while stream:
                    size = chance.choice((1, 7, 60, 100, 101, 102, 150, 1000))
                    await client.send(stream[:size])  # type: ignore[attr-defined]
                    stream = stream[size:]
                    if chance.random() < 0.5:
                        await asyncio.sleep(0.0005)

            sending = asyncio.create_task(send())
            for _, status, body in wanted:
                answer = await client.answer()
                assert answer.status == status
                assert body is None or answer.body == body
            await sending
    assert known(server)


@on_server()
async def test_line_feed_without_return_makes_no_known_head(server: Running) -> None:
    """Where the header really ends, then, is not where the bytes seem to say."""
    for smuggled in (
        b"POST /echo HTTP/1.1\nhost: a\ncontent-length: 11\n\n{\"x\":\r\n\r\n1}",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\nx: a\n\r\n\r\n{\"x\":1}",
        b"POST /echo HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\ncontent-length: 7\r\n\r\n{\"x\":1}",
        b"\r\nPOST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\n{\"x\":1}",
    ):  # fmt: skip
        async with await server.connect() as client:
            await client.send(smuggled)
            await client.answer()
    assert not known(server)


@on_server()
async def test_what_differs_or_changes_the_connection_is_not_kept(server: Running) -> None:
    for request in (
        post("/echo", b'{"x":1}', "x-request-id: 1"),
        post("/echo", b'{"x":1}', "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        post("/echo", b'{"x":1}', "connection: close"),
        post("/echo", b'{"x":1}', "connection: keep-alive", version="1.0"),
        post("/echo", b'{"x":1}', "expect: 100-continue"),
        post("/echo", b'{"x":1}', f"x-long: {'a' * KnownHeads.LIMIT_BYTES}"),
        post("/echo", b'{"x":1}', "content-encoding: br"),
        get("/echo"),
        get("/livez"),
    ):
        async with await server.connect() as client:
            await client.send(request)
            assert (await client.answer()).status < 500
    assert not known(server)


@on_server()
async def test_head_of_an_asgi_request_is_not_taken_for_the_next_one(server: Running) -> None:
    """In one packet: a request for the ASGI application and half of a prediction."""
    request = post("/echo", b'{"x":1}')
    async with await server.connect() as client:
        await client.send(get("/livez") + request[:20])
        assert (await client.answer()).body == b'{"live":true}'
        await client.send(request[20:])
        assert (await client.answer()).body == b"1"
        await client.send(get("/livez"))
        assert (await client.answer()).body == b'{"live":true}'
    assert not known(server)


@on_server()
async def test_their_number_is_bounded(server: Running) -> None:
    async with await server.connect() as client:
        for number in range(KnownHeads.LIMIT + 40):
            await client.send(post("/echo", b'{"x":1}', f"cookie: {number}"))
            assert (await client.answer()).status == 200
    assert 0 < len(known(server)) <= KnownHeads.LIMIT


@on_server()
async def test_time_limit_of_a_known_head_holds(server: Running) -> None:
    async with await server.connect() as client:
        for _ in range(3):
            await client.send(post("/hold", b'{"x":1}', "x-request-timeout: 0.05"))
            assert (await client.answer()).status == 504


@on_server()
async def test_caller_of_a_known_head_hangs_up(server: Running) -> None:
    request = post("/hold", b'{"x":1}')
    server.state.instance.release.set()
    async with await server.connect() as client:
        await client.send(request)
        assert (await client.answer()).status == 200
    server.state.instance.release.clear()
    client = await server.connect()
    await client.send(request)
    await server.until(lambda: server.state.in_flight == 1)
    await client.close()
    await server.until(lambda: server.state.in_flight == 0)
    assert server.state.metrics.ended[-1] == ("/hold", "POST", 499)
