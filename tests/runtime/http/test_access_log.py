"""The access log: right lines, never in the way."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from http_server import Running, get, on_server, post

from tiffin.runtime.http.access_log import AccessLog, Row

ROW: Row = ("10.0.0.7:5123", "POST", "/classify", 200, 17, 0.00123, "id-1", "")


def at() -> float:
    return 1_700_000_000.1239


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def written(log: AccessLog, *rows: Row) -> None:
    async def main() -> None:
        for row in rows:
            log.write(row)
        log.close()

    asyncio.run(main())


def test_text(pipe: tuple[int, int]) -> None:
    log = AccessLog(json=False, descriptor=pipe[1], clock=at)
    written(log, ROW, (*ROW[:2], "/a\x1b[31m\nb 200 id=x", *ROW[3:7], "ab" * 16))
    first, second = os.read(pipe[0], 10_000).decode().splitlines()
    assert first == "2023-11-14T22:13:20.123Z 10.0.0.7:5123 POST /classify 200 17B 1.23ms id=id-1"
    assert r"/a\x1b[31m\x0ab\x20200\x20id=x 200 17B" in second
    assert second.endswith("trace=" + "ab" * 16)


def test_json(pipe: tuple[int, int]) -> None:
    written(AccessLog(json=True, descriptor=pipe[1], clock=at), ROW)
    line = json.loads(os.read(pipe[0], 10_000))
    assert line["ts"] == "2023-11-14T22:13:20.123Z"
    assert (line["path"], line["status"], line["bytes"], line["ms"]) == ("/classify", 200, 17, 1.23)
    assert "trace_id" not in line


def test_lines_come_without_closing(pipe: tuple[int, int]) -> None:
    async def main() -> None:
        log = AccessLog(json=False, descriptor=pipe[1])
        for number in range(3):
            log.write((*ROW[:6], f"id-{number}", ""))
            line = await asyncio.to_thread(os.read, pipe[0], 10_000)
            assert line.endswith(b"id=id-%d\n" % number)
        assert log._timer is None, "an idle log has no timer"
        log.close()

    asyncio.run(main())


def test_what_is_written_at_once_ends_with_a_line(pipe: tuple[int, int]) -> None:
    """Several API processes share one pipe: whole lines of up to PIPE_BUF bytes do not mix."""
    written(AccessLog(json=False, descriptor=pipe[1]), *[ROW] * 200)
    text = os.read(pipe[0], 60_000)
    assert text.count(b"\n") == 200
    assert text.endswith(b"id=id-1\n")


def test_long_lines_go_in_portions_of_their_own(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe takes up to PIPE_BUF bytes in one piece."""
    long: Row = (*ROW[:2], "/" + "a" * 1500, *ROW[3:])
    log = AccessLog(json=False, descriptor=pipe[1])
    portions: list[int] = []
    write = log._stream.write

    def noted(data: bytes, *, lines: int = 1) -> int:
        portions.append(len(data))
        return write(data, lines=lines)

    monkeypatch.setattr(log._stream, "write", noted)
    written(log, *[long] * 32)
    text = os.read(pipe[0], 65_536)
    assert text.count(b"\n") == 32
    assert len(portions) == 16
    assert max(portions) <= 4096


@pytest.mark.parametrize("as_json", [False, True])
def test_blocked_descriptor_blocks_nobody(pipe: tuple[int, int], as_json: bool) -> None:
    """Nobody reads the pipe: lines are dropped and counted."""
    written(AccessLog(json=as_json, descriptor=pipe[1]), *[ROW] * 50_000)
    text = b""
    while b"lines dropped" not in text:  # the reader came back: what was kept is written, then the report
        text += os.read(pipe[0], 1_000_000)
    lines = text.splitlines()
    found = re.search(rb"(\d+) access log lines dropped: stderr is too slow", lines[-1])
    assert found is not None
    assert int(found[1]) + len(lines) - 1 == 50_000
    if as_json:
        assert all(isinstance(json.loads(line), dict) for line in lines)


def test_closed_descriptor_is_survived() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    written(AccessLog(json=False, descriptor=writing), ROW)
    os.close(writing)


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
    server.state.serving.ledger.log = kept
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with await server.connect() as client:
        await client.send(post("/echo", b'{"x":1}', "x-request-id: a1", f"traceparent: {trace}"))
        await client.send(post("/echo", b"{") + get("/livez") + get("/nope") + b"\0\r\n\r\n")
        for _ in range(5):
            await client.answer()
    lines = [row[1:4] for row in kept.rows]
    assert lines == [
        ("POST", "/echo", 200),
        ("POST", "/echo", 400),
        ("GET", "/livez", 200),
        ("GET", "/nope", 404),
        ("-", "-", 400),
    ]
    assert kept.rows[0][4:] == (1, kept.rows[0][5], "a1", trace.split("-")[1])
    assert all(row[0].startswith("127.0.0.1:") for row in kept.rows)
