"""The admin socket: both ends in this process, and what hostile peers can do to it."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tiffin.errors import NotFoundError, ServerError, UsageError
from tiffin.runtime.supervisor import admin, running
from tiffin.runtime.supervisor.admin import Admin, Identity, Step, Tell, WhoAreYou


class Add(msgspec.Struct, kw_only=True):
    numbers: list[int]


class Unknown(msgspec.Struct):
    pass


async def add(question: Add, tell: Tell) -> dict[str, Any]:
    if not question.numbers:
        raise UsageError("nothing to add")
    if question.numbers == [0]:
        raise NotFoundError("zero is nowhere")
    if question.numbers == [1]:
        raise ZeroDivisionError("one")
    for place, number in enumerate(question.numbers):
        tell(Step(text=f"add {number}", done=place, total=len(question.numbers)))
        await asyncio.sleep(0)
    return {"sum": sum(question.numbers)}


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where run folders lie; short, as the paths of sockets must be."""
    with tempfile.TemporaryDirectory(prefix="t") as path:
        monkeypatch.setenv("XDG_RUNTIME_DIR", path)
        monkeypatch.setattr(running, "parents", lambda: [Path(path)])
        monkeypatch.setenv("TIFFIN_HOME", "/home-of-mine")
        yield Path(path)


async def listening(parent: Path, name: str = "one", home: str = "/home-of-mine", port: int = 1) -> Admin:
    async def identify(question: WhoAreYou, tell: Tell) -> dict[str, Any]:
        facts = Identity(pid=port + 1000, url="http://x", port=port, title=name, home=home)
        return msgspec.structs.asdict(facts)

    one = Admin()
    one.answer(WhoAreYou, identify)
    one.answer(Add, add)
    folder = parent / f"tiffin-{name}"
    folder.mkdir(mode=0o700)
    await one.listen(folder)
    return one


def play(parent: Path, scene: Callable[[Admin], Awaitable[None]]) -> None:
    async def whole() -> None:
        one = await listening(parent)
        try:
            await asyncio.wait_for(scene(one), 120)
        finally:
            await one.close()

    asyncio.run(whole())


def test_a_question_its_steps_and_its_answer(parent: Path) -> None:
    async def scene(one: Admin) -> None:
        steps: list[Step] = []
        server = await asyncio.to_thread(running.find)
        assert server.identity.title == "one"
        assert server.path.stat().st_mode & 0o777 == 0o600
        facts = await asyncio.to_thread(server.ask, Add(numbers=[2, 3]), steps.append)
        assert facts == {"sum": 5}
        assert [(step.text, step.done, step.total) for step in steps] == [("add 2", 0, 2), ("add 3", 1, 2)]

    play(parent, scene)


@pytest.mark.parametrize(
    ("question", "error", "text"),
    [
        (Add(numbers=[]), UsageError, "nothing to add"),
        (Add(numbers=[0]), ServerError, "zero is nowhere"),
        (Add(numbers=[1]), ServerError, "ZeroDivisionError: one"),
        (Unknown(), ServerError, "knows no 'Unknown'"),
        (Add(numbers=["x"]), ServerError, "another version"),  # type: ignore[list-item]
    ],
)
def test_refusals(parent: Path, question: msgspec.Struct, error: type[Exception], text: str) -> None:
    async def scene(one: Admin) -> None:
        server = await asyncio.to_thread(running.find)
        with pytest.raises(error, match=text):
            await asyncio.to_thread(server.ask, question)

    play(parent, scene)


def test_a_server_that_ends_before_it_answers(parent: Path) -> None:
    async def scene(one: Admin) -> None:
        server = await asyncio.to_thread(running.find)
        begun = asyncio.Event()

        async def never(question: Add, tell: Tell) -> dict[str, Any]:
            begun.set()
            await asyncio.Event().wait()
            return {}

        one.answer(Add, never)
        asking = asyncio.ensure_future(asyncio.to_thread(server.ask, Add(numbers=[])))
        await begun.wait()
        await one.close()
        with pytest.raises(ServerError, match="ended before it answered"):
            await asking
        assert await asyncio.to_thread(running.servers) == []

    play(parent, scene)


def test_bytes_that_are_no_question(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends its own connection only; silence and too many connections are bounded."""

    def patience(seconds: float) -> None:
        monkeypatch.setattr(admin, "ASK_LIMIT_S", seconds)

    path = parent / "tiffin-one" / admin.SOCKET_NAME
    silent = []

    def send(data: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(path))
            with suppress(BrokenPipeError):  # it is closed before anything was sent
                connection.sendall(data)
            return connection.recv(1)

    def crowd() -> None:
        for _ in range(admin.MAX_CONNECTIONS):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(path))
            silent.append(connection)

    async def scene(one: Admin) -> None:
        patience(0.2)
        for data in (b"\xff" * 8, b"\x05\0\0\0hello", b"\x01\0\0\0\xc1", os.urandom(64), b"\x01\0", b""):
            assert await asyncio.to_thread(send, data) == b"", data
        patience(60)
        await asyncio.to_thread(crowd)
        while len(one._running) < admin.MAX_CONNECTIONS:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert await asyncio.to_thread(send, b"") == b""
        for connection in silent:
            connection.close()
        while one._running:  # noqa: ASYNC110 - those that hung up
            await asyncio.sleep(0.01)
        server = await asyncio.to_thread(running.find)
        assert await asyncio.to_thread(server.ask, Add(numbers=[4])) == {"sum": 4}

    play(parent, scene)


def test_which_server_is_meant(parent: Path) -> None:
    (parent / "tiffin-dead").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(parent / "tiffin-dead" / admin.SOCKET_NAME))  # nobody listens any more

    def found(**which: int) -> str:
        try:
            return running.find(**which).identity.title
        except ServerError as error:
            return str(error)

    async def scene() -> None:
        assert "start one with bundle serve" in await asyncio.to_thread(found)
        servers = [await listening(parent, "two", home="/elsewhere", port=2)]
        told = await asyncio.to_thread(found)
        assert "no server with TIFFIN_HOME /home-of-mine runs" in told
        assert "--port 2 --pid 1002  two  TIFFIN_HOME /elsewhere" in told
        servers.append(await listening(parent, "one"))
        assert await asyncio.to_thread(found) == "one"
        servers.append(await listening(parent, "three", port=3))
        told = await asyncio.to_thread(found)
        assert "several servers run, name one with --port or --pid" in told
        assert "two" not in told
        assert await asyncio.to_thread(found, port=3) == "three"
        assert await asyncio.to_thread(found, pid=1002) == "two"
        assert "no server with port 3 and pid 1002 runs" in await asyncio.to_thread(found, port=3, pid=1002)
        for one in servers:
            await one.close()

    asyncio.run(scene())
