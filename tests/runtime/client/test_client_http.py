"""The HTTP client against servers that do what no good server does: what is sent again, and what never."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from ports import kept_port
from scripted_http import SCHEMA, Peer, Scripted, serve

import tiffin
from tiffin.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    PayloadTooLargeError,
    ServingError,
    UnavailableError,
    UsageError,
)

Call = Callable[..., Any]


def blocking(url: str, *, calls: int = 1, **options: Any) -> Any:
    with tiffin.Client(url, **options) as client:
        return [client.add(1) for _ in range(calls)][-1]


def in_a_loop(url: str, *, calls: int = 1, **options: Any) -> Any:
    async def run() -> Any:
        async with tiffin.AsyncClient(url, **options) as client:
            return [await client.add(1) for _ in range(calls)][-1]

    return asyncio.run(run())


@pytest.fixture(params=[blocking, in_a_loop])
def call(request: pytest.FixtureRequest) -> Call:
    made: Call = request.param
    return made


def schema(peer: Peer) -> None:
    """Answers the question for the schema, and goes on with the connection."""
    peer.request()
    peer.answer(SCHEMA)


def posts(server: Scripted) -> list[bytes]:
    return [request for request in server.requests if request.startswith(b"POST ")]


def test_one_connection_carries_many_calls(call: Call) -> None:
    with Scripted() as server:
        assert call(server.url, calls=5) == 3
        assert server.connections == 1
        assert len(posts(server)) == 5


def test_the_head_of_a_request(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_CLIENT_TOKEN", "from-environment")
    with Scripted() as server:
        call(f"{server.url}/ml/iris", headers={"X-User": "ann"}, timeout_s=7)
        call(server.url, token="given")
    first, second = posts(server)
    lines = first.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert lines[0] == "POST /ml/iris/add HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["content-type"] == "application/msgpack"
    assert headers["authorization"] == "Bearer from-environment"
    assert headers["x-user"] == "ann"
    assert 6 < float(headers["x-request-timeout"]) <= 7
    assert b"authorization: Bearer given\r\n" in second


def test_a_service_that_calls_another_hands_its_request_on(call: Call) -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with (
        Scripted() as server,
        tiffin.RequestContext(raw_headers=[(b"x-request-id", b"a1"), (b"traceparent", trace)]) as context,
    ):
        call(server.url)
        call(server.url, headers={"x-request-id": "mine"})
    first, second = posts(server)
    assert b"x-request-id: a1\r\n" in first
    assert f"traceparent: {context.traceparent}\r\n".encode() in first
    assert b"0af7651916cd43dd8448eb211c80319c" in first
    assert b"x-request-id: mine\r\n" in second
    assert b"x-request-id: a1" not in second


def test_the_deadline_of_the_request_that_is_served_counts(call: Call) -> None:
    with Scripted() as server, tiffin.RequestContext(deadline=time.monotonic() + 2):
        call(server.url, timeout_s=60)
    head = posts(server)[0].partition(b"\r\n\r\n")[0].decode()
    assert float(head.partition("x-request-timeout: ")[2].partition("\r\n")[0]) <= 2


def test_what_may_have_been_computed_is_not_sent_again(call: Call) -> None:
    def loses(peer: Peer) -> None:
        schema(peer)
        peer.request()

    with Scripted(loses, serve) as server:
        with pytest.raises(ConnectionFailedError, match="before its answer was whole") as caught:
            call(server.url)
        assert caught.value.sent
        assert len(posts(server)) == 1


def test_unless_the_caller_says_that_it_may_run_twice(call: Call) -> None:
    def loses(peer: Peer) -> None:
        schema(peer)
        peer.request()
        peer.reset()

    with Scripted(loses, serve) as server:
        assert call(server.url, idempotent=True) == 3
        assert len(posts(server)) == 2


def test_a_connection_that_ended_while_idle_is_not_used(call: Call) -> None:
    closed = threading.Event()

    def once(peer: Peer) -> None:
        schema(peer)
        peer.request()
        peer.answer(b"1")
        peer.socket.close()
        closed.set()

    def two_calls(client: Any) -> Any:
        assert client.add(1) == 1
        assert closed.wait(60)
        return client.add(1)

    async def two_awaited(url: str) -> Any:
        async with tiffin.AsyncClient(url) as client:
            assert await client.add(1) == 1
            assert closed.wait(60)
            await asyncio.sleep(0.01)  # the loop hears of it
            return await client.add(1)

    with Scripted(once, serve) as server:
        if call is blocking:
            with tiffin.Client(server.url) as client:
                assert two_calls(client) == 3
        else:
            assert asyncio.run(two_awaited(server.url)) == 3
        assert len(posts(server)) == 2


def test_a_server_that_closes_after_each_answer(call: Call) -> None:
    def once(peer: Peer) -> None:
        body = SCHEMA if peer.request().startswith(b"GET ") else b"3"
        peer.answer(body, "connection: close")

    with Scripted(once) as server:
        assert call(server.url, calls=3) == 3
        assert server.connections == 4


def test_refused_with_a_time_to_come_back_is_tried_again(call: Call) -> None:
    def full(peer: Peer) -> None:
        schema(peer)
        for _ in range(2):
            peer.request()
            peer.answer(b"busy", "retry-after: 0", status="503 Service Unavailable", kind="text/plain")
        serve(peer)

    with Scripted(full) as server:
        assert call(server.url) == 3
        assert len(posts(server)) == 3
    with Scripted(full) as server:
        with pytest.raises(UnavailableError):
            call(server.url, retries=1)
        assert len(posts(server)) == 2
    with Scripted(full) as server, pytest.raises(UnavailableError):
        call(server.url, retries=0)


def test_a_longer_wait_than_the_deadline_is_not_begun(call: Call) -> None:
    def full(peer: Peer) -> None:
        schema(peer)
        peer.request()
        peer.answer(b"busy", "retry-after: 3600", status="503 Service Unavailable")

    with Scripted(full) as server, pytest.raises(UnavailableError) as caught:
        call(server.url, timeout_s=30)
    assert caught.value.retry_after_s == 3600


@pytest.mark.parametrize(
    ("status", "headers", "kind", "words"),
    [
        ("503 Service Unavailable", [], ServingError, "status 503 from what is no tiffin server"),
        ("301 Moved Permanently", ["location: https://new/"], ServingError, "https://new/"),
        ("502 Bad Gateway", [], ServingError, "<h1>no</h1>"),
        ("504 Gateway Timeout", [], DeadlineExceededError, "504"),
        ("413 Content Too Large", [], PayloadTooLargeError, "413"),
    ],
)
def test_answers_of_proxies(call: Call, status: str, headers: list[str], kind: type, words: str) -> None:
    def proxy(peer: Peer) -> None:
        schema(peer)
        peer.request()
        peer.answer(b"<h1>no</h1>", *headers, "x-request-id: p1", status=status, kind="text/html")
        serve(peer)

    with Scripted(proxy) as server:
        with pytest.raises(kind, match=words) as caught:
            call(server.url)
        assert caught.value.status == int(status[:3])
        assert caught.value.request_id == "p1"
        assert len(posts(server)) == 1


def test_no_answer_within_the_time(call: Call) -> None:
    gone = threading.Event()

    def silent(peer: Peer) -> None:
        schema(peer)
        peer.request()
        try:
            peer.request()  # until the client hangs up
        except OSError:
            gone.set()
            raise

    with Scripted(silent) as server:
        with pytest.raises(DeadlineExceededError):
            call(server.url, timeout_s=1)  # in which the schema is fetched, too
        assert gone.wait(60)
        assert len(posts(server)) == 1


@pytest.mark.parametrize(
    "sent",
    [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", b"x" * 300_000]
    + [
        b"HTTP/1.1 200 OK\r\n" + each + b"\r\n\r\nzz\r\n"
        for each in (b"transfer-encoding: chunked", b"content-length: -1")
    ],
)
def test_what_is_no_http(call: Call, sent: bytes) -> None:
    def strange(peer: Peer) -> None:
        schema(peer)
        peer.request()
        peer.send(sent)
        peer.request()

    with Scripted(strange) as server, pytest.raises(ConnectionFailedError, match="no HTTP server"):
        call(server.url)


def test_an_early_refusal_of_a_large_body() -> None:
    def strict(peer: Peer) -> None:
        schema(peer)
        peer.socket.recv(1000)
        peer.answer(b"too large", "connection: close", status="413 Content Too Large", kind="text/plain")
        peer.socket.shutdown(1)
        while peer.socket.recv(1_000_000):
            pass

    with Scripted(strict) as server, tiffin.Client(server.url) as client, pytest.raises(PayloadTooLargeError):
        client.add("x" * 20_000_000)


def test_nobody_listens(call: Call) -> None:
    with (
        kept_port() as port,
        pytest.raises(ConnectionFailedError, match="cannot connect to http://127") as caught,
    ):
        call(f"http://127.0.0.1:{port}", retries=1)
    assert not caught.value.sent


def test_no_more_connections_than_allowed() -> None:
    release = threading.Event()
    entered = threading.Semaphore(0)

    def slow(peer: Peer) -> None:
        while True:
            if peer.request().startswith(b"GET "):
                peer.answer(SCHEMA)
                continue
            entered.release()
            release.wait(60)
            peer.answer(b"3")

    with Scripted(slow) as server, tiffin.Client(server.url, max_connections=2) as client:
        dir(client)
        threads = [threading.Thread(target=client.add, args=(1,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        assert entered.acquire(timeout=60)
        assert entered.acquire(timeout=60)
        with pytest.raises(DeadlineExceededError):
            client.with_options(timeout_s=0.05).add(1)
        release.set()
        for thread in threads:
            thread.join()
        assert server.connections == 2
        assert len(posts(server)) == 6


def test_an_async_client_in_one_loop_after_another() -> None:
    with Scripted() as server:
        client = tiffin.AsyncClient(server.url)
        assert asyncio.run(as_coroutine(client)) == 3
        assert asyncio.run(as_coroutine(client)) == 3


async def as_coroutine(client: tiffin.AsyncClient) -> Any:
    answer = await client.add(1)
    await client.close()
    return answer


def test_a_cancelled_call_hangs_up() -> None:
    asked, gone = threading.Event(), threading.Event()

    def silent(peer: Peer) -> None:
        schema(peer)
        peer.request()
        asked.set()
        try:
            peer.request()
        except OSError:
            gone.set()
            raise

    async def run(url: str) -> None:
        async with tiffin.AsyncClient(url) as client:
            task = asyncio.ensure_future(client.add(1))
            while not asked.is_set():  # noqa: ASYNC110 - a thread tells
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with Scripted(silent) as server:
        asyncio.run(run(server.url))
        assert gone.wait(60)


def test_a_stream_that_is_cut_off() -> None:
    def cut(peer: Peer) -> None:
        schema(peer)
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\ndata: 2\n\n")

    async def items(url: str) -> list[Any]:
        found: list[Any] = []
        async with tiffin.AsyncClient(url) as client:
            with pytest.raises(ConnectionFailedError, match="cut off"):
                async for item in client.count():
                    found.append(item)  # noqa: PERF401 - kept when it raises
        return found

    with Scripted(cut) as server, tiffin.Client(server.url) as client:
        stream = client.count()
        assert [next(stream), next(stream)] == [1, 2]
        with pytest.raises(ConnectionFailedError, match="cut off"):
            next(stream)
        assert len(posts(server)) == 1  # what has begun is not begun again
    with Scripted(cut) as server:
        assert asyncio.run(items(server.url)) == [1, 2]


def test_a_stream_that_is_left_hangs_up() -> None:
    gone = threading.Event()

    def endless(peer: Peer) -> None:
        schema(peer)
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        try:
            while True:
                peer.send(b"data: 1\n\n" * 1000)
        except OSError:
            gone.set()
            raise

    with Scripted(endless) as server, tiffin.Client(server.url, timeout_s=30) as client:
        stream = client.count()
        assert next(stream) == 1
        stream.close()
        assert gone.wait(60)


def test_tls(call: Call, tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    cert, key = authority.issue("client")
    with Scripted(context=context) as server:
        assert call(server.url, ca=authority.file, cert=cert, key=key) == 3
        with pytest.raises(ConnectionFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            call(server.url, ca=other.file, cert=cert, key=key, retries=0)
        with pytest.raises(ConnectionFailedError):
            call(server.url, ca=authority.file, retries=0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "ftp://x"}, "names no server"),
        ({"url": "http://"}, "names no server"),
        ({"url": "http://x:port"}, "malformed"),
        ({"url": "http://me:secret@x"}, "token="),
        ({"url": "grpc://x:1/y"}, "gRPC has none"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"retries": -1}, "retries"),
        ({"token": "a\nb"}, "token"),
        ({"headers": {"x-a": "b\r\nc: d"}}, "x-a"),
        ({"headers": {"Host": "x"}}, "by the client itself"),
        ({"key": __file__}, "cert="),
        ({"url": "https://x", "ca": "/no/such/file"}, "is no file"),
        ({"url": "https://x", "ca": __file__}, "cannot be used"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    for kind in (tiffin.Client, tiffin.AsyncClient):
        with pytest.raises(UsageError, match=words):
            kind(**{"url": "http://127.0.0.1:1", **options})
