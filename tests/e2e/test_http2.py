"""Everything that is served over HTTP/1.1 is served over HTTP/2 on the same port, beside gRPC."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from everything import write_project
from server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(write_project(tmp_path_factory.mktemp("everything"))) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, http1=False, http2=True) as made:
        yield made


def test_a_prediction(client: httpx.Client) -> None:
    answer = client.post("/double", json={"x": [[1, 2, 3, 4]]})
    assert answer.http_version == "HTTP/2"
    assert answer.status_code == 200
    assert answer.json() == [[2, 4, 6, 8]]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]


def test_an_error(client: httpx.Client) -> None:
    answer = client.post("/double", json={"x": [[1, 2, 3]]}, headers={"x-request-id": "mine"})
    assert answer.status_code == 422
    assert answer.json()["request_id"] == "mine"
    assert client.get("/nowhere").status_code == 404
    assert client.get("/double").status_code == 405


def test_pages(client: httpx.Client) -> None:
    assert client.get("/readyz").status_code == 200
    assert "openapi" in client.get("/schema").json()
    assert client.get("/").headers["content-type"].startswith("text/html")
    head = client.head("/livez")
    assert (head.status_code, head.content) == (200, b"")


def test_a_stream(client: httpx.Client) -> None:
    with client.stream("POST", "/count", json={"to": 3}) as answer:
        assert answer.status_code == 200
        text = "".join(answer.iter_text())
    assert [line for line in text.splitlines() if line.startswith("data")][:3] == [
        "data: 0",
        "data: 1",
        "data: 2",
    ]


def test_a_large_body_both_ways(client: httpx.Client) -> None:
    data = bytes(range(256)) * 40_000
    answer = client.post("/flip", content=data, headers={"content-type": "application/octet-stream"})
    assert answer.content == data[::-1]


def test_many_on_one_connection(server: Server) -> None:
    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.base_url, http1=False, http2=True) as client:
            asked = (client.post("/double", json={"x": [[number] * 4]}) for number in range(100))
            return list(await asyncio.gather(*asked))

    answers = asyncio.run(asyncio.wait_for(ask(), 60))
    assert [answer.json() for answer in answers] == [[[number * 2] * 4] for number in range(100)]


def test_a_body_that_is_not_as_long_as_it_says(server: Server) -> None:
    import socket

    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import StreamReset

    peer = H2Connection(H2Configuration(header_encoding="utf-8"))
    peer.initiate_connection()
    host = server.base_url.removeprefix("http://")
    fields = [(":method", "POST"), (":scheme", "http"), (":path", "/flip"), (":authority", host)]
    peer.send_headers(1, [*fields, ("content-length", "10")])
    peer.send_data(1, b"short", end_stream=True)
    with socket.create_connection(host.split(":"), timeout=90) as connection:
        connection.sendall(peer.data_to_send())
        events = []
        while not any(isinstance(event, StreamReset) for event in events):
            data = connection.recv(65536)
            assert data
            events += peer.receive_data(data)


def test_a_server_without_grpc_says_so(tmp_path: Path) -> None:
    grpc = pytest.importorskip("grpc")
    with Server(write_project(tmp_path), "--no-grpc") as running:
        channel = grpc.insecure_channel(running.base_url.removeprefix("http://"))
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=90)
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
        channel.close()


def test_curl(server: Server) -> None:
    """A third implementation of the protocol."""
    run = subprocess.run(
        [
            *("curl", "-sS", "--http2-prior-knowledge", "-w", " %{http_version}"),
            *("-H", "content-type: application/json", "-d", '{"words": ["a"]}', f"{server.base_url}/shout"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == '["A"] 2'
