"""The access log: right lines, never in the way."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from http_server import Running, get, on_server, post

from tiffin.runtime.http.access_log import AccessLog, Row

ROW: Row = (1_700_000_000.1239, "10.0.0.7:5123", "POST", "/classify", 200, 17, 0.00123, "id-1", "")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_text(pipe: tuple[int, int]) -> None:
    log = AccessLog(json=False, descriptor=pipe[1])
    log.write(ROW)
    log.write((*ROW[:3], "/a\x1b[31m\nb 200 id=x", *ROW[4:8], "ab" * 16))
    log.close()
    first, second = os.read(pipe[0], 10_000).decode().splitlines()
    assert first == "2023-11-14T22:13:20.123Z 10.0.0.7:5123 POST /classify 200 17B 1.23ms id=id-1"
    assert r"/a\x1b[31m\x0ab\x20200\x20id=x 200 17B" in second
    assert second.endswith("trace=" + "ab" * 16)


def test_json(pipe: tuple[int, int]) -> None:
    log = AccessLog(json=True, descriptor=pipe[1])
    log.write(ROW)
    log.close()
    line = json.loads(os.read(pipe[0], 10_000))
    assert line["ts"] == "2023-11-14T22:13:20.123Z"
    assert (line["path"], line["status"], line["bytes"], line["ms"]) == ("/classify", 200, 17, 1.23)
    assert "trace_id" not in line


def test_lines_come_without_closing(pipe: tuple[int, int]) -> None:
    log = AccessLog(json=False, descriptor=pipe[1])
    for number in range(3):
        log.write((*ROW[:7], f"id-{number}", ""))
        assert os.read(pipe[0], 10_000).endswith(b"id=id-%d\n" % number)
    log.close()


def test_blocked_descriptor_blocks_nobody(pipe: tuple[int, int]) -> None:
    """Nobody reads the pipe: lines are dropped and counted, and close() gives up after a second."""
    log = AccessLog(json=False, descriptor=pipe[1], limit=3000)
    began = time.perf_counter()
    for _ in range(200_000):
        log.write(ROW)
    took_s = time.perf_counter() - began
    assert took_s < 5
    assert log._dropped > 100_000
    text = b""
    while b"lines dropped" not in text:  # the reader came back: what was kept is written, then the report
        text = text[-100:] + os.read(pipe[0], 1_000_000)
    log.close()
    assert re.search(rb"\d+ access log lines dropped: stderr is too slow\n", text)


def test_closed_descriptor_is_survived() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = AccessLog(json=False, descriptor=writing)
    log.write(ROW)
    log.close()
    os.close(writing)
    assert not log._waiting


class Kept:
    def __init__(self) -> None:
        self.rows: list[Any] = []

    def write(self, row: Any) -> None:
        self.rows.append(row)

    def close(self) -> None:
        pass


@on_server()
async def test_every_request_has_one_line(server: Running) -> None:
    kept: Any = Kept()
    server.state.serving.log = kept
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with await server.connect() as client:
        await client.send(post("/echo", b'{"x":1}', "x-request-id: a1", f"traceparent: {trace}"))
        await client.send(post("/echo", b"{") + get("/livez") + get("/nope") + b"\0\r\n\r\n")
        for _ in range(5):
            await client.answer()
    lines = [(row[2], row[3], row[4]) for row in kept.rows]
    assert lines == [
        ("POST", "/echo", 200),
        ("POST", "/echo", 400),
        ("GET", "/livez", 200),
        ("GET", "/nope", 404),
        ("-", "-", 400),
    ]
    assert kept.rows[0][5:] == (1, kept.rows[0][6], "a1", trace.split("-")[1])
    assert all(row[1].startswith("127.0.0.1:") for row in kept.rows)
