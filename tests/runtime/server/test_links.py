"""Connections to workers that answer, and to those that do not."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from waiting import until_in_loop

from tiffin.errors import UnavailableError
from tiffin.runtime.batching import link as link_module
from tiffin.runtime.batching.dispatcher import Dispatcher
from tiffin.runtime.batching.link import Link, connect
from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.metrics import Metrics
from tiffin.runtime.server.links import Links
from tiffin.runtime.supervisor.control import WorkerAddress
from tiffin.runtime.wire import frame
from tiffin.runtime.wire.frame import Frame
from tiffin.runtime.wire.messages import PROTOCOL, Call, Hello, Result, dump, load
from tiffin.runtime.wire.values import pack


class Scene:
    """Links to sockets at which nobody ever accepts."""

    def __init__(self, folder: Path, patience_s: float, **options: Any) -> None:
        self.folder = folder
        self.metrics = Metrics.open(folder, "api-0", "fake")
        self.stuck: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.listening: list[socket.socket] = []
        self.serving: list[asyncio.AbstractServer] = []
        self.writers: list[asyncio.StreamWriter] = []
        spec = RunnerSpec(name="forest", methods={"predict": MethodSpec()})
        self.dispatcher = Dispatcher(spec, metrics=self.metrics.runner("forest"))
        self.links = Links(
            {"forest": self.dispatcher},
            lambda: None,
            on_stuck=lambda *told: self.stuck.put_nowait(told),
            patience_s=patience_s,
            **options,
        )

    def mute(self, worker: str) -> WorkerAddress:
        path = str(self.folder / worker)
        self.listening.append(socket.socket(socket.AF_UNIX))
        self.listening[-1].bind(path)
        self.listening[-1].listen()
        return WorkerAddress(id=worker, runner="forest", address=path)

    async def close(self) -> None:
        await self.links.close()
        for server in self.serving:
            server.close()
        for writer in self.writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self.writers), return_exceptions=True)
        self.metrics.close()
        for one in self.listening:
            one.close()


def test_a_worker_that_does_not_say_hello_is_reported(tmp_path: Path) -> None:
    """The batch that it hangs in came from a process that is gone: nobody else can tell."""

    async def play() -> None:
        scene = Scene(tmp_path, 0.05)
        scene.links.follow([scene.mute("forest-0-1")])
        assert await asyncio.wait_for(scene.stuck.get(), 20) == (
            "forest-0-1",
            "did not say hello within 0.05 s",
        )
        assert not scene.links.connected("forest-0-1")
        await scene.close()

    asyncio.run(play())


def test_one_that_cannot_be_reached_is_not(tmp_path: Path) -> None:
    async def play() -> None:
        tries: asyncio.Queue[None] = asyncio.Queue()

        async def counted(*args: Any, **options: Any) -> Link:
            tries.put_nowait(None)
            return await connect(*args, **options)

        scene = Scene(tmp_path, 60.0, connect=counted, retry_s=0.0)
        scene.links.follow([WorkerAddress(id="forest-0-1", runner="forest", address=str(tmp_path / "none"))])
        for _ in range(5):
            await asyncio.wait_for(tries.get(), 20)
        assert scene.stuck.empty()
        await scene.close()

    asyncio.run(play())


def test_a_service_that_cancels_every_task_keeps_none_from_being_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        tries: asyncio.Queue[None] = asyncio.Queue()

        async def hang(*_: object) -> None:
            tries.put_nowait(None)
            await asyncio.sleep(60)

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", hang)
        scene = Scene(tmp_path, 60.0, retry_s=0.0)
        scene.links.follow([scene.mute("forest-0-1")])
        for _ in range(3):
            await asyncio.wait_for(tries.get(), 20)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        await scene.close()

    asyncio.run(play())


def test_without_a_descriptor_for_it_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        tries: asyncio.Queue[None] = asyncio.Queue()

        class NoMore(socket.socket):
            def __init__(self, *_: object) -> None:
                tries.put_nowait(None)
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        scene = Scene(tmp_path, 60.0, retry_s=0.0)
        address = scene.mute("forest-0-1")
        with monkeypatch.context() as patch:
            patch.setattr(link_module.socket, "socket", NoMore)
            scene.links.follow([address])
            for _ in range(3):
                await asyncio.wait_for(tries.get(), 20)
        assert scene.stuck.empty()
        await scene.close()

    asyncio.run(play())


def test_a_worker_that_ended_is_lost_though_somebody_holds_its_connection_open(tmp_path: Path) -> None:
    """A process that its user code forked, say. What it answered before counts."""

    async def play() -> None:
        scene = Scene(tmp_path, 60.0)
        dispatcher, calls = scene.dispatcher, asyncio.Queue[tuple[str, Frame, asyncio.StreamWriter]]()

        async def hire(name: str) -> WorkerAddress:
            async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                scene.writers.append(writer)
                writer.write(b"".join(frame.encode(frame.HELLO, 0, dump(Hello(PROTOCOL, name)))))
                frames = frame.FrameReader()
                while data := await reader.read(65536):
                    for received in frames.feed(data):
                        if received.kind == frame.CALL:
                            calls.put_nowait((name, received, writer))

            path = str(tmp_path / name)
            scene.serving.append(await asyncio.start_unix_server(work, path))
            return WorkerAddress(id=name, runner="forest", address=path)

        def answer(call: Frame, writer: asyncio.StreamWriter) -> None:
            value, buffers = pack([len(load(Call, call.head).counts)])
            head = dump(Result(value, 0.1, []))
            writer.write(b"".join(frame.encode(frame.RESULT, call.batch, head, buffers)))

        ended = await hire("forest-0-1")
        scene.links.follow([ended])
        first = asyncio.ensure_future(dispatcher.call("predict", ([1],), {}))
        _, call, writer = await asyncio.wait_for(calls.get(), 20)
        answer(call, writer)
        scene.links.lose("forest-0-1")
        assert await asyncio.wait_for(first, 20) == [1]

        scene.links.follow([])
        scene.links.follow([await hire("forest-0-2")])
        second = asyncio.ensure_future(dispatcher.call("predict", ([1],), {}))
        await asyncio.wait_for(calls.get(), 20)
        scene.links.lose("forest-0-2")
        scene.links.follow([await hire("forest-0-3")])
        name, call, writer = await asyncio.wait_for(calls.get(), 20)
        assert name == "forest-0-3"
        answer(call, writer)
        assert await asyncio.wait_for(second, 20) == [1]

        third = asyncio.ensure_future(dispatcher.call("predict", ([1],), {}))
        await asyncio.wait_for(calls.get(), 20)
        scene.links.follow([await hire("forest-0-4")])  # the one before leaves
        await until_in_loop(lambda: scene.links.workers() == ["forest"])
        scene.links.lose("forest-0-3")
        name, call, writer = await asyncio.wait_for(calls.get(), 20)
        assert name == "forest-0-4"
        answer(call, writer)
        assert await asyncio.wait_for(third, 20) == [1]
        scene.links.lose("nobody")
        await scene.close()

    asyncio.run(play())


@pytest.mark.parametrize("forgotten_first", [True, False])
def test_nothing_is_left_after_close(tmp_path: Path, forgotten_first: bool) -> None:
    async def play() -> None:
        scene = Scene(tmp_path, 60.0)
        scene.links.follow([scene.mute("forest-0-1"), scene.mute("forest-1-2")])
        await asyncio.sleep(0.05)
        if forgotten_first:
            scene.links.follow([])
        assert len(scene.links._tasks) == 2
        await scene.close()
        assert not scene.links._tasks
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(play())


@pytest.mark.parametrize("turns", range(12))
def test_it_can_be_closed_at_every_turn_of_connecting(tmp_path: Path, turns: int) -> None:
    async def play() -> None:
        scene = Scene(tmp_path, 600.0)
        scene.links.follow([scene.mute("forest-0-1")])
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(scene.close(), 20)

    asyncio.run(play())


def test_a_keeper_whose_cancellation_was_swallowed_ends_all_the_same(
    tmp_path: Path,
) -> None:
    """As `asyncio.wait_for` does before Python 3.12 when the connection is refused in that moment."""

    async def swallow(*_: object, **__: object) -> Link:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(600)
        raise UnavailableError("refused")

    async def play() -> None:
        scene = Scene(tmp_path, 60.0, connect=swallow)
        scene.links.follow([WorkerAddress(id="forest-0-1", runner="forest", address="")])
        await asyncio.sleep(0)
        await asyncio.wait_for(scene.close(), 120)

    asyncio.run(play())
