"""WebSockets under callers that send what they like, or nothing."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from http_server import Running, get, on_server, running
from hypothesis import given
from hypothesis import strategies as st
from socket_client import asked, opened, received
from stream_service import stream_state
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tiffin.errors import RequestError
from tiffin.runtime.http.serving import Serving
from tiffin.runtime.http.websocket import CALLS, OUTGOING, Socket
from tiffin.runtime.http.websocket_handshake import WebSockets
from tiffin.runtime.http.websocket_messages import Envelopes, Form, names, read

served = on_server(make=stream_state)
HANDSHAKE = (
    "connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
words = st.dictionaries(
    st.sampled_from(["$id", "$item", "$end", "$cancel", "$more", "numbers", "start", ""]),
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3), st.lists(st.integers(0, 3))),
)


@given(st.one_of(st.binary(max_size=40), words.map(msgspec.json.encode), words.map(msgspec.msgpack.encode)))
def test_every_message_is_read_or_refused(data: bytes) -> None:
    for text in (True, False):
        try:
            said = read(data, text=text)
        except RequestError:
            continue
        names(said, "numbers")
        envelopes = Envelopes(said.form, said.id)
        decode: Any = msgspec.json.decode if said.form is Form.JSON else msgspec.msgpack.decode
        encode: Any = msgspec.json.encode if said.form is Form.JSON else msgspec.msgpack.encode
        answer = decode(envelopes.result(encode([1])))
        assert answer == {**({"id": said.id} if said.id is not None else {}), "result": [1]}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"$id": 1e999}', True),
        (b'{"$id": %b}' % (b"9" * 5000), True),
        (b'{"$id": -%b}' % (b"9" * 30), True),
        (b'{"$cancel": 1e999}', True),
        (b"\x81\xa3$id\xc7\x0c\xff" + b"\xff" * 12, False),
        (b"\x81\xa3$id\xa2\xff\xfe", False),
    ],
)
def test_words_that_are_no_values_are_refused(data: bytes, text: bool) -> None:
    with pytest.raises(RequestError):
        read(data, text=text)


@served
async def test_refusals_wait_until_they_are_read(server: Running) -> None:
    heard = 0

    async def receive() -> dict[str, Any]:
        nonlocal heard
        heard += 1
        return {"type": "websocket.receive", "text": '{"$no": 1}'}

    async def send(_: Any) -> None:
        await asyncio.Event().wait()

    sockets = WebSockets(Serving.of(server.state))
    heads = sockets._heads(sockets._route("/total"), [], "")
    socket = Socket(Serving.of(server.state), heads, client="", authorization=None, send=send)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(socket.serve(receive), 0.2)
    assert heard <= OUTGOING + 2


@served
async def test_any_messages_leave_the_server_well(server: Running) -> None:
    chance = random.Random(7)
    keys = ["$id", "$item", "$end", "$cancel", "numbers", "start", "$x"]
    values = [True, 1, "a", [1], None, {}]
    for path in ("/running", "/total", "/shout", "/double"):
        for _ in range(20):
            async with opened(server, path) as socket:
                for _ in range(chance.randrange(1, 12)):
                    body = {chance.choice(keys): chance.choice(values) for _ in range(chance.randrange(4))}
                    message: Any = json.dumps(body)
                    if chance.random() < 0.3:
                        message = chance.choice([chance.randbytes(20), msgspec.msgpack.encode(body)])
                    await socket.send(message)
    await server.until(lambda: server.state.in_flight == 0)
    async with opened(server, "/total") as socket:
        assert await asked(socket, {"numbers": [1]}) == {"result": 1.0}
    assert all(code < 500 for _, _, code in server.state.metrics.ended)  # type: ignore[attr-defined]


@served
async def test_no_more_calls_than_the_limit_run_at_once(server: Running) -> None:
    service: Any = server.state.instance
    async with opened(server, "/hold") as socket:
        for number in range(CALLS + 10):
            await socket.send(json.dumps({"$id": number, "text": "x"}))
        await server.until(lambda: server.state.in_flight == CALLS)
        await asyncio.sleep(0.05)
        assert server.state.in_flight == CALLS
        service.release.set()
        answers = [json.loads(await received(socket)) for _ in range(CALLS + 10)]
        assert {answer["id"] for answer in answers} == set(range(CALLS + 10))


@served
async def test_a_caller_that_vanishes_while_it_is_not_read(server: Running) -> None:
    """With all calls taken nothing more is read, and its end is noticed all the same."""
    async with opened(server, "/hold") as socket:
        for number in range(CALLS + 50):
            await socket.send(json.dumps({"$id": number, "text": "x"}))
        await server.until(lambda: server.state.in_flight == CALLS)
        socket.transport.abort()
    await server.until(lambda: server.state.in_flight == 0)
    assert len(server.state.metrics.ended) == CALLS  # type: ignore[attr-defined]  # no other one began


@on_server(make=stream_state, max_body_bytes=1000)
async def test_a_message_that_no_api_takes_closes(server: Running) -> None:
    async with opened(server, "/total") as socket:
        await socket.send("x" * 2000)
        with pytest.raises(ConnectionClosed) as closed:
            await received(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@on_server(make=stream_state, auth_tokens="shop a-token-of-the-tests predict 2033-05-18")
async def test_a_token_that_ends_closes(server: Running) -> None:
    header = {"authorization": "Bearer a-token-of-the-tests"}
    async with opened(server, "/total", additional_headers=header) as socket:
        assert await asked(socket, {"numbers": [1]}) == {"result": 1.0}
        serving: Any = server.state.serving
        serving.guard._clock = lambda: 4e9
        answer = await asked(socket, {"numbers": [1]})
        assert answer["error"]["status"] == 401
        with pytest.raises(ConnectionClosed) as closed:
            await received(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


@served
async def test_a_handshake_that_is_none(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(get("/total", "connection: upgrade", "upgrade: websocket"))
        assert (await client.head())[0] in (400, 426)
    async with await server.connect() as client:
        await client.send(get("/total", "connection: upgrade", "upgrade: h2c"))
        assert (await client.answer()).status == 405  # the wish is passed over


@served
async def test_a_handshake_with_a_body_is_a_request(server: Running) -> None:
    for more in ("content-length: 7", "transfer-encoding: chunked"):
        async with await server.connect() as client:
            body = b'{"x":5}' if "length" in more else b"0\r\n\r\n"
            await client.send(get("/total", *HANDSHAKE, more) + body + get("/livez"))
            assert (await client.answer()).status == 405
            assert (await client.answer()).status == 200
    async with await server.connect() as client:
        await client.send(get("/total", *HANDSHAKE, "content-length: 0"))  # some clients always say so
        assert (await client.head())[0] == 101


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/total", "x: " + "a" * 9000, 431),
        ("/total?x=" + "a" * 9000, "x: a", 414),
        ("/total", "\r\n".join(["x: a"] * 140), 431),
    ],
)
def test_a_handshake_too_large_is_answered(path: str, more: str, status: int, tmp_path: Path) -> None:
    async def ask() -> None:
        async with running(stream_state(tmp_path)) as server, await server.connect() as client:
            await client.send(get(path, *HANDSHAKE, more))
            assert (await client.head())[0] == status
            await asyncio.wait_for(client.reader.read(), 10)  # to the end

    asyncio.run(ask())


@served
async def test_frames_that_bring_nothing_end_the_connection(server: Running) -> None:
    def masked(head: int, data: bytes = b"") -> bytes:
        return bytes([head, 0x80 | len(data)]) + bytes(4) + data

    ping, pong, begin, more = masked(0x89, b"x"), masked(0x8A, b"x"), masked(0x01, b"{"), masked(0x00)
    many = 11_000  # enough on one side of a sweep, which may come in their midst and forgets
    for flood in (ping * many, pong * many, begin + more * many):
        async with await server.connect() as client:
            await client.send(get("/total", *HANDSHAKE))
            assert (await client.head())[0] == 101
            client.writer.write(flood)
            said = b""
            with suppress(ConnectionResetError):  # when a piece comes behind the end
                while piece := await asyncio.wait_for(client.reader.read(65536), 20):
                    said += piece
                assert b"too many frames that bring nothing" in said
    async with await server.connect() as client:
        await client.send(get("/livez"))
        assert (await client.answer()).status == 200


@served
async def test_messages_in_many_pieces_are_taken(server: Running) -> None:
    async with connect(f"ws://127.0.0.1:{server.port}/total") as socket:
        text = '{"numbers": [' + ",".join(["1"] * 500) + "]}"
        await socket.send(iter(text))
        assert "500" in str(await asyncio.wait_for(socket.recv(), 20))


@pytest.mark.parametrize("error", [RuntimeError("after sending 'websocket.close'"), BrokenPipeError()])
def test_a_connection_that_was_closed_under_an_answer_is_no_error(error: Exception) -> None:
    """As when a caller that took nothing was cut off: uvicorn says so in either way."""

    async def play() -> None:
        closed = asyncio.Event()

        async def send(_: object) -> None:
            closed.set()
            raise error

        async def receive() -> dict[str, Any]:
            await closed.wait()
            return {"type": "websocket.disconnect"}

        heads: Any = {Form.JSON: SimpleNamespace(route=None)}
        serving: Any = None
        socket = Socket(serving, heads, client="", authorization=None, send=send)
        for _ in range(2):
            socket.post(b"an answer", text=True)
        await asyncio.wait_for(socket.serve(receive), 20)
        assert socket._lost

    asyncio.run(play())
