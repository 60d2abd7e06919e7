"""Streams: server-sent events for JSON items, chunks for bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from http_server import Running, on_server, post, running
from http_service import server_state

from tiffin.runtime.http import events
from tiffin.runtime.http.exchange import Exchange


@on_server()
async def test_events(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/count", b'{"x":3}') + post("/echo", b'{"x":1}'))
        answer = await client.answer()
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\nevent: end\ndata: {}\n\n"
        assert (await client.answer()).body == b"1"
        await client.send(post("/count", b'{"x":0}'))
        assert (await client.answer()).body == b"event: end\ndata: {}\n\n"


@on_server()
async def test_error_in_the_middle(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/count", b'{"x":20}'))
        answer = await client.answer()
        last = answer.body.split(b"\n\n")[-2]
        assert last.startswith(b"event: error\ndata: ")
        assert json.loads(last.partition(b"data: ")[2])["detail"] == "ValueError: seven"
        assert answer.status == 200
    assert server.state.metrics.ended == [("/count", "POST", 500)]


def test_every_error_of_the_service_is_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Before the first item, in the middle, and while the generator is stopped for a caller who left."""

    async def main() -> None:
        async with running(server_state(tmp_path)) as server:
            async with await server.connect() as client:
                await client.send(post("/count", b'{"x":"three"}', "x-request-id: before"))
                assert (await client.answer()).status == 500
                await client.send(post("/count", b'{"x":20}', "x-request-id: middle"))
                assert (await client.answer()).status == 200
            async with await server.connect() as client:
                await client.send(post("/stubborn", b"{}", "x-request-id: stopped"))
                await client.head()
            await server.until(lambda: "stopped" in caplog.text)

    asyncio.run(asyncio.wait_for(main(), 30))
    assert [record.request_id for record in caplog.records] == ["before", "middle", "stopped"]
    assert [record.exc_info[0] for record in caplog.records] == [TypeError, ValueError, KeyError]


@on_server()
async def test_error_before_the_first_item_has_a_status(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/count", b'{"x":"three"}'))
        assert (await client.answer()).status == 500


@on_server()
async def test_an_interrupt_is_an_error_like_others(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/count", b'{"x":1000}'))
        assert (await client.answer()).status == 500
        await client.send(post("/sync", b'{"x":"interrupt"}'))
        assert (await client.answer()).status == 500


def test_a_coroutine_that_is_put_away_answers_nobody() -> None:
    """As the collector does with one whose loop has ended."""

    class Silent(Exchange):
        answer = open_stream = send_chunk = close_stream = lose = expire = None  # type: ignore[assignment]

    async def endless() -> AsyncIterator[int]:
        await asyncio.get_running_loop().create_future()
        yield 0

    async def main() -> None:
        exchange = Silent(None, SimpleNamespace(route=SimpleNamespace(dialect=None)), "")  # type: ignore[arg-type]
        work = exchange._stream(endless(), str, "")
        exchange.task = asyncio.current_task()
        work.send(None)
        exchange.task = asyncio.ensure_future(asyncio.sleep(0))
        work.close()  # raises nothing
        assert not exchange.answered

    asyncio.run(main())


@on_server()
async def test_raw_chunks(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/raw", b'{"x":3}'))
        answer = await client.answer()
        assert (answer.headers["content-type"], answer.body) == ("application/octet-stream", b"0,1,2,")


@on_server()
async def test_raw_stream_that_fails_has_no_end(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/raw", b'{"x":20}'))
        await client.head()
        try:
            rest = await client.reader.read()
        except ConnectionResetError:
            return
        assert not rest.endswith(b"0\r\n\r\n")


@on_server()
async def test_http_1_0_streams_until_close(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/raw", b'{"x":3}', "connection: keep-alive", version="1.0"))
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"0,1,2,", "close")
        assert "transfer-encoding" not in answer.headers


@on_server()
async def test_disconnect_closes_the_generator(server: Running) -> None:
    client = await server.connect()
    await client.send(post("/endless", b'{"x":10}'))
    await client.reader.readuntil(b"data: ")
    await client.close()
    await server.until(lambda: server.state.instance.seen == ["closed"])
    assert server.state.metrics.ended == [("/endless", "POST", 499)]
    assert server.state.in_flight == 0


@on_server()
async def test_slow_reader_holds_the_generator(server: Running) -> None:
    async with await server.connect(limit=2**16) as client:
        await client.send(post("/endless", b'{"x":100000}'))
        await client.head()
        (connection,) = server.server.server_state.connections
        await server.until(lambda: connection.flow.write_paused)
        assert connection.transport.get_write_buffer_size() < 2_000_000


@on_server()
async def test_deadline_in_a_stream(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/endless", b'{"x":1}', "x-request-timeout: 0.1"))
        answer = await client.answer()
        assert b"event: error\ndata: " in answer.body
        assert json.loads(answer.body.split(b"data: ")[-1])["status"] == 504
        await client.send(post("/nothing"))
        assert (await client.answer()).status == 200
    assert server.state.instance.seen == ["closed"]
    assert server.state.metrics.ended[0] == ("/endless", "POST", 504)


def test_item_with_line_breaks() -> None:
    assert events.item(b'{"a":\n1}') == b'data: {"a":\ndata: 1}\n\n'
