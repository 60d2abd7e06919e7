"""Bytes on real sockets: what HTTP/1.1 allows is answered in order, what it forbids is refused."""

from __future__ import annotations

import asyncio
import json

from http_server import Running, get, on_server, post

CHUNKED = b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


@on_server()
async def test_json_in_json_out(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/echo", b'{"x":[1,2]}', "content-type: application/json"))
        answer = await client.answer()
    assert (answer.status, answer.body) == (200, b"[1,2]")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["date"].endswith("GMT")
    assert len(answer.headers["x-request-id"]) >= 16


@on_server()
async def test_connection_is_kept_and_counted(server: Running) -> None:
    async with await server.connect() as client:
        for number in range(20):
            await client.send(post("/echo", b'{"x":%d}' % number))
            assert (await client.answer()).body == b"%d" % number
    assert server.server.server_state.total_requests == 20
    assert server.state.in_flight == 0
    assert server.state.metrics.ended == [("/echo", "POST", 200)] * 20


@on_server()
async def test_pipelined_answers_keep_their_order(server: Running) -> None:
    """Slow, fast, ASGI, broken and unknown requests in one packet: the answers come in the order of the
    requests."""
    server.state.instance.release.set()
    wanted = [
        (post("/hold", b'{"x":1}'), 200, b"1"),
        (get("/livez"), 200, b'{"live":true}'),
        (post("/echo", b'{"x":2}'), 200, b"2"),
        (post("/echo", b"{"), 400, None),
        (get("/nowhere"), 404, None),
        (get("/readyz"), 200, None),
        (post("/sync", b'{"x":3}'), 200, b"3"),
        (get("/livez"), 200, b'{"live":true}'),
        (get("/echo"), 405, None),
        (post("/echo", b'{"x":4}'), 200, b"4"),
    ]
    async with await server.connect() as client:
        await client.send(b"".join(request for request, _, _ in wanted * 3))
        for _, status, body in wanted * 3:
            answer = await client.answer()
            assert answer.status == status
            assert body is None or answer.body == body


@on_server()
async def test_pipelined_request_with_a_late_body(server: Running) -> None:
    later = post("/echo", b'{"x":"late"}')
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}') + later[:-5])
        await server.state.instance.entered.wait()
        server.state.instance.release.set()
        assert (await client.answer()).body == b"1"
        await client.send(later[-5:] + post("/nothing"))
        assert (await client.answer()).body == b'"late"'
        assert (await client.answer()).body == b'"ok"'


@on_server()
async def test_byte_by_byte(server: Running) -> None:
    chunked = CHUNKED + b'3\r\n{"x\r\n5\r\n":12}\r\n0\r\nx-sum: 1\r\n\r\n'
    async with await server.connect() as client:
        for byte in post("/echo", b'{"x":[7]}') + chunked + get("/livez"):
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert [(await client.answer()).body for _ in range(3)] == [b"[7]", b"12", b'{"live":true}']


@on_server()
async def test_trailers_are_not_headers(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(CHUNKED.replace(b"/echo", b"/who") + b"2\r\n{}\r\n0\r\nx-user: mallory\r\n\r\n")
        assert json.loads((await client.answer()).body)["user"] == ""


@on_server()
async def test_expect_continue(server: Running) -> None:
    request = post("/echo", b'{"x":1}', "expect: 100-continue")
    async with await server.connect() as client:
        await client.send(request[:-7])
        assert (await client.answer()).status == 100
        await client.send(request[-7:])
        assert (await client.answer()).body == b"1"
    for path in ("/echo", "/nowhere"):  # HTTP/1.0 knows of no interim answers (RFC 9110, 10.1.1)
        async with await server.connect() as client:
            request = post(path, b'{"x":1}', "expect: 100-continue", version="1.0")
            await client.send(request[:-7])
            await asyncio.sleep(0)
            await client.send(request[-7:])
            assert (await client.answer()).status == (200 if path == "/echo" else 404)


@on_server()
async def test_expect_continue_behind_another(server: Running) -> None:
    """`100 Continue` may not overtake the answer before it."""
    request = post("/echo", b'{"x":2}', "expect: 100-continue")
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}') + request[:-7])
        await server.state.instance.entered.wait()
        server.state.instance.release.set()
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 100
        await client.send(request[-7:])
        assert (await client.answer()).body == b"2"


@on_server()
async def test_expectation_that_fails_asks_for_no_body(server: Running) -> None:
    async with await server.connect() as client:
        head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2000000\r\n"
        await client.send(head + b"expect: 100-continue\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await client.ended()


@on_server()
async def test_connection_close_is_kept(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/echo", b'{"x":1}', "connection: close") + post("/echo", b'{"x":2}'))
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"1", "close")
        assert await client.ended(), "the request after the last one is not answered"


@on_server()
async def test_http_1_0(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/echo", b'{"x":1}', version="1.0"))
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"1", "close")
        assert await client.ended()
    async with await server.connect() as client:
        for _ in range(2):
            await client.send(post("/echo", b'{"x":1}', "connection: keep-alive", version="1.0"))
            assert (await client.answer()).headers["connection"] == "keep-alive"


@on_server()
async def test_other_methods(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(get("/echo") + get("/echo", method="HEAD") + get("/echo", method="OPTIONS"))
        answer = await client.answer()
        assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
        assert json.loads(answer.body)["detail"] == "/echo takes POST, not GET"
        answer = await client.answer(head=True)
        assert (answer.status, int(answer.headers["content-length"]) > 0) == (405, True)
        answer = await client.answer()
        assert (answer.status, answer.headers["allow"], "content-length" in answer.headers) == (
            204,
            "POST, OPTIONS",
            False,
        )
        await client.send(post("/echo", b"x" * 1000).replace(b"POST", b"PUT") + post("/echo", b'{"x":1}'))
        assert (await client.answer()).status == 405
        assert (await client.answer()).body == b"1", "the body of a refused request is not the next request"


@on_server()
async def test_ways_to_write_a_path(server: Running) -> None:
    async with await server.connect() as client:
        for path in ("/echo", "/echo?", "/%65cho", "http://any.host/echo"):
            await client.send(post(path, b'{"x":1}'))
            assert (await client.answer()).status == 200, path
        for path in ("/Echo", "/echo/", "//echo", "/echo%00", "/echo/../echo"):
            await client.send(post(path, b'{"x":1}'))
            assert (await client.answer()).status == 404, path
        await client.send(post("/echo?a=1&b=%20", b"", "content-type: text/query"))
        assert (await client.answer()).body == b'"a=1&b=%20"'


@on_server()
async def test_not_http(server: Running) -> None:
    for bad in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELLO\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1e3\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\nbad header: x\r\n\r\n",
        b"POST http:///\xff HTTP/1.1\r\nhost: a\r\n\r\n",
        b"CONNECT host:80 HTTP/1.1\r\n\r\n",
    ):
        async with await server.connect() as client:
            await client.send(bad)
            answer = await client.answer()
            assert answer.status == 400, bad
            assert answer.headers["content-type"] in ("application/problem+json", "text/plain; charset=utf-8")
            assert answer.headers["connection"] == "close"
            assert await client.ended(), bad
    async with await server.connect() as client:
        await client.send(post("/nothing"))
        assert (await client.answer()).status == 200


@on_server()
async def test_garbage_behind_a_request_waits_for_its_answer(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}') + b"\0garbage\r\n\r\n")
        await server.state.instance.entered.wait()
        server.state.instance.release.set()
        assert (await client.answer()).body == b"1"
        assert (await client.answer()).status == 400
        assert await client.ended()


@on_server()
async def test_only_chunked_is_a_transfer_coding(server: Running) -> None:
    async with await server.connect() as client:
        refused = CHUNKED.replace(b"chunked", b"gzip, chunked") + b"1\r\nx\r\n0\r\n\r\n"
        await client.send(refused + post("/echo", b'{"x":1}'))
        assert (await client.answer()).status == 400
        assert await client.ended()  # a proxy may have seen another end of it


@on_server()
async def test_upgrade_that_is_not_served_is_ignored(server: Running) -> None:
    """`curl --http2` asks for h2c; the body behind it is still the body of this request."""
    wish = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__")
    async with await server.connect() as client:
        await client.send(post("/echo", b'{"x":1}', *wish) + post("/echo", b'{"x":2}'))
        assert (await client.answer()).body == b"1"
        assert (await client.answer()).body == b"2"
        request = post("/echo", b'{"x":3}', *wish)
        await client.send(request[:-3])
        await client.send(request[-3:] + get("/livez", "connection: upgrade", "upgrade: websocket"))
        assert (await client.answer()).body == b"3"
        assert (await client.answer()).body == b'{"live":true}'


@on_server()
async def test_context_is_the_requests_own(server: Running) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with await server.connect() as client:
        for number in range(50):
            own = (f"X-User: u{number}", f"x-request-id: id-{number}", f"traceparent: {trace}")
            await client.send(post("/who", b"{}", *own))
        for number in range(50):
            answer = await client.answer()
            body = json.loads(answer.body)
            assert (body["user"], body["id"], body["route"]) == (f"u{number}", f"id-{number}", "/who")
            assert answer.headers["x-request-id"] == f"id-{number}"
            assert answer.headers["x-note"] == "hello"
            assert answer.headers["traceparent"].split("-")[1] == body["trace_id"] == trace.split("-")[1]
            assert 29 < body["remaining_s"] <= 30
        await client.send(post("/who", b"{}", "x-request-id: evil\tid"))
        assert (await client.answer()).headers["x-request-id"] != "evil\tid"


@on_server()
async def test_sync_apis_run_in_threads(server: Running) -> None:
    echo = server.state.instance
    async with await server.connect() as client, await server.connect() as other:
        await client.send(post("/sync", b'{"x":"sleep"}'))
        await other.send(post("/echo", b'{"x":1}'))
        assert (await other.answer()).body == b"1", "the loop is free while a thread sleeps"
        assert (await client.answer()).body == b'"sleep"'
        await client.send(post("/sync", b'{"x":"stop"}'))
        assert (await client.answer()).status == 500
    assert all(name.startswith("tiffin-api") for name in echo.threads)


@on_server()
async def test_errors_of_the_users_code(server: Running) -> None:
    async with await server.connect() as client:
        for what, status in (
            ("boom", 500),
            ("file", 500),
            ("exit", 500),
            ("interrupt", 500),
            ("generator", 500),
            ("cancel", 503),
            ("teapot", 400),
            ("full", 503),
        ):
            await client.send(post("/fail", json.dumps({"x": what}).encode()))
            answer = await client.answer()
            body = json.loads(answer.body)
            assert (answer.status, body["status"]) == (status, status), what
            assert answer.headers["content-type"] == "application/problem+json"
            assert body["request_id"] == answer.headers["x-request-id"]
            assert "/srv/app" not in body["detail"] and "/no/such" not in body["detail"]
            assert "Traceback" not in body["detail"]
            if what == "boom":
                assert body["detail"] == "ValueError: bad boom in …/model.py"
            if what == "teapot":
                assert body["path"] == "$.x"
            if what == "full":
                assert answer.headers["retry-after"] == "2"
    assert server.state.in_flight == 0 == server.state.metrics.in_flight


@on_server()
async def test_large_bodies_both_ways(server: Running) -> None:
    server.state.serving.table.by_path[b"/echo"].max_body_bytes = 50_000_000
    text = b"a" * 38_000_000
    async with await server.connect() as client:
        await client.send(post("/echo", b'{"x":"' + text + b'"}'))
        answer = await client.answer()
        assert answer.body == b'"' + text + b'"'
        await client.send(post("/echo", b'{"x":1}'))
        assert (await client.answer()).body == b"1"


@on_server()
async def test_repeated_fields_are_one_list(server: Running) -> None:
    async with await server.connect() as client:
        for fields, status in (
            (("accept: image/png", "accept: application/json"), 406),
            (("accept: application/json", "accept: text/html"), 200),
            (("content-encoding: gzip", "content-encoding: gzip"), 415),
            (("x-request-timeout: 1", "x-request-timeout: 2"), 400),
        ):
            await client.send(post("/echo", b'{"x":1}', *fields))
            assert (await client.answer()).status == status, fields


@on_server()
async def test_drain_answers_what_stands_behind_an_answer(server: Running) -> None:
    """Requests that were read before the server stops are answered; only the last answer closes."""
    server.state.draining = True
    async with await server.connect() as client:
        await client.send(b"".join(post("/echo", b'{"x":%d}' % number) for number in range(4)))
        answers = [await client.answer() for _ in range(4)]
        assert [answer.body for answer in answers] == [b"0", b"1", b"2", b"3"]
        assert ["connection" in answer.headers for answer in answers] == [False, False, False, True]
        assert await client.ended()


@on_server()
async def test_stop_answers_what_stands_behind_a_running_request(server: Running) -> None:
    async with await server.connect() as client:
        await client.send(post("/hold", b'{"x":1}') + post("/echo", b'{"x":2}') + post("/echo", b'{"x":3}'))
        await server.state.instance.entered.wait()
        (connection,) = server.server.server_state.connections
        connection.shutdown()
        server.state.instance.release.set()
        assert [(await client.answer()).body for _ in range(3)] == [b"1", b"2", b"3"]
        assert await client.ended()
