"""Heads that are refused whatever they ask for, by every route alike."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from http_server import Running, get, on_server, post

from tiffin.runtime.http.authority import is_authority
from tiffin.runtime.http.head_faults import fault_of
from tiffin.runtime.http.limits import LINGER_S
from tiffin.runtime.http.odd_method import LINE_BYTES

HANDSHAKE = ("connection: upgrade", "upgrade: websocket", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")
REQUESTS = [
    post("/echo", b'{"x":1}'),
    post("/echo?x=1", b""),
    post("/nowhere", b"{}"),
    post("/v2/models/echo/infer", b"{}"),
    get("/livez"),
    get("/v2"),
    get("/schema", method="HEAD"),
    get("/echo", *HANDSHAKE, "sec-websocket-version: 13"),
]
HOSTS = [
    *(b"a", b"A.b:80", b"", b":80", b"10.0.0.1", b"my_host", b"a%20b", b"a."),
    *(b"[::1]", b"[fe80::1%25eth0]:3000"),
]
NO_HOSTS = [
    *(b"a, a", b"a b", b"a/b", b"u@a", b"a:b", b"a:80:80", b"a?", b"a\tb", b"%zz", b"\xc3\xa9"),
    *(b"::1", b"[::1"),
]


@pytest.mark.parametrize("host", HOSTS)
def test_what_names_a_host(host: bytes) -> None:
    assert is_authority(host)
    assert fault_of("1.1", {b"host": host}) is None


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_names_none(host: bytes) -> None:
    assert not is_authority(host)
    fault = fault_of("1.0", {b"host": host})
    assert fault is not None
    assert repr(host.decode("latin-1")) in str(fault)


def test_only_old_requests_may_name_none() -> None:
    assert fault_of("1.0", {}) is None
    assert str(fault_of("1.1", {})) == "a request of HTTP/1.1 has a Host field"


@on_server()
async def test_hosts(server: Running) -> None:
    for request in REQUESTS:
        for instead in (b"", b"host: a\r\nhost: a\r\n", b"host: a\r\nHost: b\r\n", b"host: a b\r\n"):
            bad = request.replace(b"host: test\r\n", instead)
            async with await server.connect() as client:
                await client.send(bad + post("/echo", b'{"x":1}'))
                answer = await client.answer(head=request.startswith(b"HEAD"))
                assert (answer.status, answer.headers["connection"]) == (400, "close"), bad
                assert answer.headers["content-type"].endswith("json")


@on_server()
async def test_blanks_behind_a_value_are_no_part_of_it(server: Running) -> None:
    request = post("/echo", b"").replace(b"host: test\r\n", b"host: test \t\r\n")
    chunked = b'transfer-encoding: chunked \r\n\r\n7\r\n{"x":1}\r\n0\r\n\r\n'
    async with await server.connect() as client:
        for _ in range(2):
            await client.send(request.replace(b"content-length: 0\r\n\r\n", chunked))
            assert (await client.answer()).status == 200


@on_server()
async def test_versions_and_codings(server: Running) -> None:
    for request in REQUESTS:
        for old, new in (
            (b"HTTP/1.1", b"HTTP/2.0"),
            (b"HTTP/1.1", b"HTTP/0.9"),
            (b"\r\n\r\n", b"\r\ntransfer-encoding: identity\r\n\r\n"),
            (b"\r\n\r\n", b"\r\ntransfer-encoding: gzip, chunked\r\n\r\n"),
        ):
            async with await server.connect() as client:
                await client.send(request.replace(old, new, 1).replace(b"content-length", b"x-length"))
                answer = await client.answer(head=request.startswith(b"HEAD"))
                assert (answer.status, answer.headers["connection"]) == (400, "close"), (request, new)


@on_server()
async def test_websockets_of_other_versions(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(get("/echo", *HANDSHAKE, "sec-websocket-version: 8"))
        answer = await client.answer()
        assert (answer.status, answer.headers["sec-websocket-version"]) == (426, "13")
        assert json.loads(answer.body)["type"] == "/docs#problem-upgrade-required"
        assert await client.ended()
    async with await server.connect() as client:  # HTTP/1.0 has no upgrades: a GET, then
        request = get("/echo", *HANDSHAKE, "sec-websocket-version: 13")
        await client.send(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await client.answer()).status == 405


@on_server()
async def test_a_method_that_is_none_is_not_implemented(server: Running) -> None:
    """On every path; what is no request line of HTTP/1.1 stays malformed."""
    lines = [
        (b"BREW /echo HTTP/1.1", 501),
        (b"get /livez HTTP/1.1", 501),
        (b"BREW /nowhere HTTP/1.0", 501),
        (b"\x16\x03\x01 /echo HTTP/1.1", 400),
        (b"BREW /echo HTCPCP/1.0", 400),
        (b"BREW  /echo HTTP/1.1", 400),
        (b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n" * 2 + b"BREW /echo HTTP/1.1", 400),
        (b"PROPFIND /echo HTTP/1.1", 405),
        (b"PROPFIND /livez HTTP/1.1", 405),
        (b"PROPFIND /nowhere HTTP/1.1", 404),
    ]
    for line, status in lines:
        async with await server.connect() as client:
            await client.send(line + b"\r\nhost: a\r\n\r\n")
            answer = await client.answer()
            while answer.status == 200:
                answer = await client.answer()
            assert answer.status == status, line
            assert ("allow" in answer.headers) == (status == 405)


@on_server()
async def test_a_method_in_pieces_is_what_it_is_in_one(server: Running) -> None:
    for line, status in [
        (b"BREW /echo HTTP/1.1", 501),
        (b"GETX /livez HTTP/1.1", 501),
        (b"get /livez HTTP/1.0", 501),
        (b"BREW /echo HTCPCP/1.0", 400),
        (b"BREW  /echo HTTP/1.1", 400),
        (b"PROPFIND /echo HTTP/1.1", 405),
    ]:
        for cuts in ((1,), (2,), (4, 5, 12), range(1, len(line) + 3)):
            async with await server.connect() as client:
                before = 0
                for cut in [*cuts, len(line) + 20]:
                    with suppress(ConnectionError):  # some are answered before the line ends
                        await client.send((line + b"\r\nhost: a\r\n\r\n")[before:cut])
                    before = cut
                    await asyncio.sleep(0.001)
                answer = await client.answer()
                assert answer.status == status, (line, cuts)
                if status == 501:
                    assert repr(line.split()[0].decode()) in json.loads(answer.body)["detail"]


@on_server()
async def test_the_end_of_a_line_is_not_waited_for_without_end(server: Running) -> None:
    for begun in (b"BREW /echo HTT", b"BREW /" + b"x" * LINE_BYTES):
        async with await server.connect() as client:
            await client.send(get("/livez"))
            assert (await client.answer()).status == 200
            await client.send(begun)
            [connection] = server.server.server_state.connections
            await server.until(lambda connection=connection: connection.deaf)  # type: ignore[misc]
            connection.sweep(connection.now + LINGER_S + 1)  # type: ignore[union-attr]
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (400, "close")
            assert await client.ended()


@on_server()
async def test_options_of_the_whole_server(server: Running) -> None:
    await ask_for_all(server)


@on_server(path_prefix="/ml")
async def test_options_of_the_whole_server_below_a_prefix(server: Running) -> None:
    await ask_for_all(server)


async def ask_for_all(server: Running) -> None:
    async with await server.connect() as client:
        for _ in range(2):  # the connection stays
            await client.send(b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n")
            assert (await client.answer()).status == 204
        await client.send(b"GET * HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await client.answer()).status == 404
