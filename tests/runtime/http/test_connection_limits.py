"""Too much, too slow, too late, gone: the connection answers what it can and always ends."""

from __future__ import annotations

import asyncio
import json

from http_server import Running, get, on_server, post

from tiffin.runtime.http import limits

CHUNKED = b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


@on_server()
async def test_body_over_the_limit_by_its_length(server: Running) -> None:
    """Refused before the body, and the caller can read why although it is still sending."""
    async with await server.connect() as client:
        head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1000001\r\n\r\n"
        await client.send(head + b"x" * 300_000)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert "1000000" in json.loads(answer.body)["detail"]
        await client.send(b"x" * 700_001)
        assert await client.ended()
    assert server.state.metrics.ended == [("/echo", "POST", 413)]


@on_server()
async def test_body_over_the_limit_in_chunks(server: Running) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    async with await server.connect() as client:
        await client.send(CHUNKED + chunk * 16)
        assert (await client.answer()).status == 413
        assert await client.ended()


@on_server()
async def test_body_of_exactly_the_limit(server: Running) -> None:
    body = b'{"x":"' + b"a" * (1_000_000 - 8) + b'"}'
    assert len(body) == 1_000_000
    async with await server.connect() as client:
        await client.send(post("/echo", body))
        assert (await client.answer()).status == 200


@on_server(max_body_bytes=10, timeout_s=0.05)
async def test_options_override_the_apis(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}'))
        assert (await client.answer()).status == 504
        await client.send(post("/echo", b'{"x":123456}'))
        assert (await client.answer()).status == 413


@on_server()
async def test_header_limits(server: Running) -> None:
    many = [f"x-{number}: y" for number in range(limits.HEAD_LIMIT_FIELDS)]
    endless = b"POST /echo HTTP/1.1\r\nhost: a\r\nx-long: " + b"a" * 400_000
    async with await server.connect() as client:
        await client.send(post("/echo", b"{}", *many))
        assert (await client.answer()).status == 431
        assert await client.ended()
    async with await server.connect() as client:
        for start in range(0, len(endless), 10_000):
            await client.send(endless[start : start + 10_000])
            await asyncio.sleep(0)
        assert (await client.answer()).status == 431
        assert await client.ended()


@on_server()
async def test_endless_trailer(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(CHUNKED + b"1\r\nx\r\n0\r\nx-trailer: ")
        for _ in range(40):
            await client.send(b"a" * 50_000)
            await asyncio.sleep(0)
        assert (await client.answer()).status == 400


@on_server()
async def test_deadline(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}', "x-request-timeout: 0.05"))
        answer = await client.answer()
        assert answer.status == 504
        assert "0.05 s" in json.loads(answer.body)["detail"]
        await client.send(post("/echo", b'{"x":1}'))
        assert (await client.answer()).body == b"1", "the connection goes on"
        for bad in ("0", "-1", "soon", "nan"):
            await client.send(post("/echo", b'{"x":1}', f"x-request-timeout: {bad}"))
            assert (await client.answer()).status == 400
    assert server.state.instance.seen == ["cancelled"]
    assert server.state.in_flight == 0


@on_server()
async def test_deadline_of_a_sync_api(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/sync", b'{"x":"sleep"}', "request-timeout: 0.02"))
        assert (await client.answer()).status == 504


@on_server()
async def test_disconnect_cancels(server: Running) -> None:
    client = await server.connect()
    await client.send(post("/hold", b'{"x":1}'))
    await server.state.instance.entered.wait()
    assert server.state.in_flight == 1
    await client.close()
    await server.until(lambda: not server.state.in_flight)
    await asyncio.sleep(0)
    assert server.state.instance.seen == ["cancelled"]
    assert server.state.metrics.ended == [("/hold", "POST", 499)]


@on_server()
async def test_disconnect_is_seen_behind_a_pipeline(server: Running) -> None:
    """Reading is paused while requests wait in line, so the end of the connection is looked for elsewhere."""
    client = await server.connect()
    await client.send(post("/hold", b'{"x":1}') + post("/echo", b'{"x":1}'))
    await server.state.instance.entered.wait()
    _later(server, 1)
    assert server.state.in_flight == 1
    await client.close()
    _later(server, 2)
    await server.until(lambda: not server.state.in_flight)
    assert server.state.metrics.ended == [("/hold", "POST", 499)]


@on_server()
async def test_disconnect_before_the_body_is_nothing(server: Running) -> None:
    client = await server.connect()
    await client.send(post("/echo", b'{"x":1}')[:-3])
    await client.close()
    await server.until(lambda: not server.server.server_state.connections)
    assert server.state.metrics.ended == []


@on_server()
async def test_slow_reader_stops_being_read(server: Running) -> None:
    """A client that sends and never reads may not fill the server's memory with answers."""
    server.state.serving.table.by_path[b"/echo"].max_body_bytes = 50_000_000
    request = post("/echo", b'{"x":"' + b"a" * 900_000 + b'"}')
    async with await server.connect(limit=2**16) as client:
        sent = 0
        try:
            for _ in range(200):
                client.writer.write(request)
                await asyncio.wait_for(client.writer.drain(), 0.3)
                sent += 1
        except asyncio.TimeoutError:
            pass
        assert sent < 100
        (connection,) = server.server.server_state.connections
        assert connection.transport.get_write_buffer_size() < 4_000_000
        for _ in range(sent):
            assert len((await client.answer()).body) == 900_002


@on_server()
async def test_pipelined_answers_wait_for_a_slow_reader(server: Running) -> None:
    async with await server.connect(limit=2**16) as client:
        await client.send(post("/echo", b'{"x":"' + b"b" * 500_000 + b'"}') + post("/nothing") * 1000)
        assert len((await client.answer()).body) == 500_002
        for _ in range(1000):
            assert (await client.answer()).body == b'"ok"'


@on_server()
async def test_drain_closes_after_the_answer(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}'))
        await server.state.instance.entered.wait()
        server.state.draining = True
        server.state.instance.release.set()
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"1", "close")
        assert await client.ended()


@on_server()
async def test_shutdown_finishes_what_is_in_flight(server: Running) -> None:
    async with await server.connect() as busy, await server.connect() as idle, await server.connect() as half:
        await idle.send(post("/nothing"))
        await idle.answer()
        await busy.send(post("/hold", b'{"x":"done"}'))
        await half.send(post("/echo", b'{"x":1}')[:30])
        await server.state.instance.entered.wait()
        stopping = asyncio.create_task(server.server.shutdown())
        assert await idle.ended()
        server.state.instance.release.set()
        assert (await busy.answer()).body == b'"done"'
        assert await busy.ended()
        await half.send(post("/echo", b'{"x":1}')[30:])
        assert (await half.answer()).body == b"1", "a request that had begun to come in is answered too"
        assert await half.ended()
        await asyncio.wait_for(stopping, limits.LINGER_S - 1)  # who does not close is not waited for


@on_server()
async def test_shutdown_ends_pipelines(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}') + get("/livez") + post("/echo", b'{"x":2}'))
        await server.state.instance.entered.wait()
        stopping = asyncio.create_task(server.server.shutdown())
        await asyncio.sleep(0)
        server.state.instance.release.set()
        assert [(await client.answer()).status for _ in range(3)] == [200, 200, 200]
        assert await client.ended()
        await asyncio.wait_for(stopping, limits.LINGER_S - 1)  # who does not close is not waited for


def _later(server: Running, seconds: float) -> None:
    """What the sweeper would do that much later."""
    for connection in list(server.server.server_state.connections):
        connection.sweep(connection.now + seconds)


@on_server(config={"timeout_keep_alive": 5})
async def test_idle_connections_close(server: Running) -> None:
    client, asgi, fresh = [await server.connect() for _ in range(3)]
    async with client, asgi, fresh:
        await client.send(post("/nothing"))
        await client.answer()
        await asgi.send(get("/livez"))
        await asgi.answer()
        _later(server, 4.5)
        assert len(server.server.server_state.connections) == 3
        _later(server, 7)
        assert await client.ended()
        assert await asgi.ended()
        _later(server, limits.HEAD_LIMIT_S + 1)
        assert await fresh.ended()
    await server.until(lambda: not server.server.server_state.connections)
    assert server.state.serving.sweeper._connections == set()


@on_server()
async def test_busy_connections_are_left_alone(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}'))
        await server.state.instance.entered.wait()
        _later(server, 10_000)
        server.state.instance.release.set()
        assert (await client.answer()).status == 200


@on_server()
async def test_slow_loris(server: Running) -> None:
    async with await server.connect() as head, await server.connect() as body:
        await head.send(b"POST /echo HTTP/1.1\r\nhost: a\r\nx-a: b\r\n")
        await body.send(post("/echo", b"x" * 100_000)[:50_000])
        await server.until(lambda: len(server.server.server_state.connections) == 2)
        await asyncio.sleep(0.05)
        _later(server, limits.HEAD_LIMIT_S + 1)
        answer = await head.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert await head.ended()
        _later(server, limits.HEAD_LIMIT_S + 45)
        assert not body.reader.at_eof(), "a body that comes at 1 kB/s has more time"
        _later(server, limits.HEAD_LIMIT_S + 60)
        assert (await body.answer()).status == 408
        assert await body.ended()


@on_server()
async def test_stalled_reader_is_cut_off(server: Running) -> None:
    async with await server.connect(limit=2**16) as client:
        await client.send(post("/endless", b'{"x":100000}'))
        await client.head()
        (connection,) = server.server.server_state.connections
        await server.until(lambda: connection.flow.write_paused)
        _later(server, 1)
        _later(server, limits.STALL_LIMIT_S + 2)
        await server.until(lambda: not server.state.in_flight)
    await server.until(lambda: server.state.instance.seen == ["closed"])


@on_server()
async def test_lingering_connection_ends(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9000000\r\n\r\n")
        assert (await client.answer()).status == 413
        _later(server, limits.LINGER_S + 1)
        await server.until(lambda: not server.server.server_state.connections)
