"""What a service raises that is no ordinary exception: its caller is told at once, nobody else notices."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from http_server import Running, on_server, post
from http_service import server_state

from tiffin.runtime.http import problem


class Mine(BaseException):
    pass


class Speechless(Exception):
    def __str__(self) -> str:
        raise SystemExit("no words")


RAISED: dict[str, tuple[BaseException, str]] = {
    "base": (Mine("of my own"), "Mine: of my own"),
    "speechless": (Speechless(), "Speechless"),
    "half characters": (ValueError("file \udcff.bin"), "ValueError: file \\udcff.bin"),
}
if sys.version_info >= (3, 11):
    several = BaseExceptionGroup("several", [KeyboardInterrupt(), Mine()])
    RAISED["group"] = several, "BaseExceptionGroup: several (2 sub-exceptions)"


async def fail(x: str) -> Any:
    await asyncio.sleep(0)
    raise RAISED[x][0]


def sync(x: str) -> Any:
    raise RAISED[x][0]


async def count(x: str) -> AsyncIterator[int]:
    if x.endswith(" later"):
        yield 1
    raise RAISED[x.removesuffix(" later")][0]


def state(folder: Path, **options: Any) -> Any:
    made = server_state(folder, **options)
    instance: Any = made.instance
    instance.fail, instance.sync, instance.count = fail, sync, count
    return made


@pytest.fixture
def silence() -> Iterator[None]:
    """Half characters in what pytest keeps of the log cannot go from one of its processes to another."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("silence")
@on_server(make=state)
async def test_the_caller_is_told_at_once(server: Running) -> None:
    async with await server.connect() as client:
        for name, (_, detail) in RAISED.items():
            for route in ("fail", "sync", "count"):
                await client.send(post(f"/{route}", json.dumps({"x": name}).encode()))
                answer = await client.answer()
                assert (answer.status, json.loads(answer.body)["detail"]) == (500, detail), route
    assert server.state.in_flight == 0


@pytest.mark.usefixtures("silence")
@on_server(make=state)
async def test_a_stream_ends_with_it(server: Running) -> None:
    async with await server.connect() as client:
        for name, (_, detail) in RAISED.items():
            await client.send(post("/count", json.dumps({"x": f"{name} later"}).encode()))
            first, last = (await client.answer()).body.split(b"\n\n")[:2]
            assert first == b"data: 1"
            assert json.loads(last.removeprefix(b"event: error\ndata: "))["detail"] == detail
    assert server.state.in_flight == 0


@on_server(make=state)
async def test_a_log_that_fails_costs_no_answer(server: Running) -> None:
    def broken(_: logging.LogRecord) -> bool:
        raise KeyError("a field that only records of its own have")

    log = logging.getLogger("tiffin.http")
    log.addFilter(broken)
    try:
        async with await server.connect() as client:
            for route in ("fail", "sync", "count"):
                await client.send(post(f"/{route}", b'{"x":"base"}'))
                assert (await client.answer()).status == 500
    finally:
        log.removeFilter(broken)
    assert server.state.in_flight == 0


@on_server()
async def test_no_second_head_is_put_into_a_stream(server: Running) -> None:
    """The last words of a stream fail: it is cut off, and no error page becomes a part of it."""

    def broken(*_: Any) -> bytes:
        raise RuntimeError("no words")

    (route,) = (one for one in server.state.serving.table.by_path.values() if one.path == "/count")
    route.dialect = SimpleNamespace(
        head=route.dialect.head,
        item=route.dialect.item,
        end=broken,
        problem=problem.problem,
        problem_type="x",
    )
    async with await server.connect() as client:
        await client.send(post("/count", b'{"x":1}'))
        assert (await client.head())[0] == 200
        rest = b""
        try:
            while data := await asyncio.wait_for(client.reader.read(65536), 10):
                rest += data
        except ConnectionError:
            pass
        assert b"HTTP/1.1" not in rest
    assert server.state.in_flight == 0
    assert server.state.metrics.ended == [("/count", "POST", 500)]


FORKING = """
import os, sys
sys.path.insert(0, SUPPORT)
import asyncio, signal
from pathlib import Path
from http_server import post, running
from http_service import server_state

def fork(x):
    child = os.fork()
    if not child:
        if x == "exit":
            sys.exit(3)
        if x == "raise":
            raise ValueError
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

async def fork_async(x):
    return fork(x)

async def main():
    state = server_state(Path(FOLDER))
    state.instance.sync, state.instance.echo = fork, fork_async
    async with running(state) as server:
        async with await server.connect() as client:
            for route in ("sync", "echo"):
                for x in ("exit", "raise", "return"):
                    await client.send(post("/" + route, b'{"x":"%s"}' % x.encode()))
                    print(route, x, (await client.answer()).body.decode(), flush=True)

signal.alarm(60)
asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_copy_ends_where_the_service_ends(tmp_path: Path) -> None:
    """It would answer its parent's callers."""
    support = str(Path(__file__).parents[2] / "support")
    source = FORKING.replace("SUPPORT", repr(support)).replace("FOLDER", repr(str(tmp_path)))
    ran = asyncio.run(_run(source))
    assert ran.split("\n")[:-1] == [
        f"{route} {x} {code}"
        for route in ("sync", "echo")
        for x, code in (("exit", 3), ("raise", 1), ("return", 1))
    ]


async def _run(source: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    return out.decode()
