"""Callers that are slow, silent, gone or greedy, on real sockets: others are served, memory is bounded."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import crowd
import httpx
import pytest
from server import Server

IDLE = 2_000
IDLE_BYTES = 24 * 1024
"""Memory that an idle connection may cost: measured about a third of it."""

SOURCE = (
    crowd.SOURCE
    + """
    @tiffin.api
    async def large(self, size: int) -> bytes:
        return bytes(size)

    @tiffin.api(max_body_bytes=1_000_000)
    async def small(self, x: str) -> int:
        return len(x)
"""
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started from a shell that allows few open files."""
    folder = tmp_path_factory.mktemp("fire")
    crowd.write(folder, SOURCE)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    with ExitStack() as stack:
        try:
            one = stack.enter_context(Server(folder, "--no-access-log"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(100):
            assert ask(one) == 4
        yield one


def ask(server: Server) -> int:
    with socket.create_connection(("127.0.0.1", port(server)), timeout=30) as one, one.makefile("rb") as file:
        one.sendall(crowd.request(1).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        return int(json.loads(file.read().rpartition(b"\r\n\r\n")[2])["y"])


def port(server: Server) -> int:
    return int(server.base_url.rpartition(":")[2])


def api(server: Server) -> int:
    (pid,) = server.pids("server")
    return pid


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def until_closed(pid: int, files: int) -> None:
    while open_files(pid) > files:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port(server))


def run(play: object) -> None:
    asyncio.run(asyncio.wait_for(play, 60))  # type: ignore[arg-type]


def test_idle_connections_cost_little_and_all_are_accepted(server: Server) -> None:
    pid = api(server)
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (files,) = (line.split() for line in limits if line.startswith("Max open files"))
    assert int(files[3]) == min(int(files[4]), 1_048_576)

    async def play() -> None:
        before, memory = open_files(pid), server.memory_bytes(pid)
        idle = [await connect(server) for _ in range(IDLE)]
        for start in range(0, IDLE // 2, 100):  # half of them have asked once
            some = idle[start : start + 100]
            for _, writer in some:
                writer.write(crowd.request(7))
            for reader, _ in some:
                assert (await crowd.answer(reader))[0] == 200
        while open_files(pid) < before + IDLE:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        grown = server.memory_bytes(pid) - memory
        print(f"{grown / IDLE:.0f} bytes an idle connection")
        assert grown < IDLE * IDLE_BYTES
        assert await asyncio.to_thread(ask, server) == 4
        for _, writer in idle:
            writer.close()
        await until_closed(pid, before)

    run(play())


def test_dripping_heads_and_bodies_delay_nobody(server: Server) -> None:
    pid = api(server)

    async def drip(data: bytes, stop: asyncio.Event) -> None:
        reader, writer = await connect(server)
        for place in range(len(data)):
            if stop.is_set():
                break
            writer.write(data[place : place + 1])
            await asyncio.sleep(0.05)
        assert not reader.at_eof()
        writer.close()

    async def play() -> None:
        before, stop = open_files(pid), asyncio.Event()
        head = b"POST /score HTTP/1.1\r\nhost: a\r\nx-slow: " + b"a" * 10_000
        body = b"POST /score HTTP/1.1\r\nhost: a\r\ncontent-length: 10000\r\n\r\n" + b"1" * 10_000
        slow = [asyncio.ensure_future(drip(data, stop)) for data in (head, body) for _ in range(100)]
        while open_files(pid) < before + len(slow):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        good = crowd.Crowd(server.base_url, 8)
        asking = asyncio.ensure_future(good.ask_until(stop))
        await good.more(300)
        stop.set()
        await asking
        await asyncio.gather(*slow)
        assert set(good.counts) == {"right"}
        await until_closed(pid, before)

    run(play())


def test_requests_cut_in_the_middle_leave_nothing(server: Server) -> None:
    """By a reset, and by a close; anywhere in the head or the body, also with an answer on its way."""
    pid, chance = api(server), random.Random(1)

    async def play() -> None:
        before = open_files(pid)
        for number in range(400):
            _, writer = await connect(server)
            data = crowd.request(number)
            writer.write(data[: chance.randint(1, len(data))])
            if number % 2:
                reset = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.close()
        await until_closed(pid, before)
        async with httpx.AsyncClient() as client:
            while (await client.get(f"{server.base_url}/readyz")).json()["in_flight"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    run(play())
    assert ask(server) == 4
    assert "Traceback" not in server.log()


def test_a_reader_that_never_reads_holds_one_answer(server: Server) -> None:
    """Each asks for fifty megabytes in all, in one go, and takes nothing."""
    pid = api(server)
    size = 1_000_000
    body = b'{"size": %d}' % size
    request = b"POST /large HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    async def play() -> None:
        before, memory = open_files(pid), server.memory_bytes(pid)
        sockets = []
        for _ in range(20):
            one = socket.create_connection(("127.0.0.1", port(server)))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(request * 50)
            sockets.append(one)
        await asyncio.to_thread(lambda: [ask(server) for _ in range(20)])
        grown = server.memory_bytes(pid) - memory
        print(f"{grown / len(sockets):.0f} bytes a reader that does not read")
        assert grown < len(sockets) * 4 * size
        for one in sockets:
            one.close()
        await until_closed(pid, before)

    run(play())
    assert ask(server) == 4


def test_bodies_over_the_limit_are_refused_before_they_are_read(server: Server) -> None:
    pid = api(server)

    async def upload() -> int:
        """Sends all of it, whatever the server says; the status it said."""
        reader, writer = await connect(server)
        writer.write(b"POST /small HTTP/1.1\r\nhost: x\r\ncontent-length: 50000000\r\n\r\n")
        sending = asyncio.ensure_future(send(writer))
        status, close, _ = await crowd.answer(reader)
        assert close
        sending.cancel()
        writer.close()
        return status

    async def send(writer: asyncio.StreamWriter) -> None:
        for _ in range(500):
            writer.write(b"x" * 100_000)
            await writer.drain()

    async def play() -> None:
        before, memory = open_files(pid), server.memory_bytes(pid)
        assert await asyncio.gather(*(upload() for _ in range(40))) == [413] * 40
        assert server.memory_bytes(pid) - memory < 40_000_000  # what the callers sent is 50 times as much
        await until_closed(pid, before)

    run(play())
    assert ask(server) == 4
