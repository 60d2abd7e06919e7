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

from tiffin.errors import UnavailableError
from tiffin.runtime.batching import link as link_module
from tiffin.runtime.batching.dispatcher import Dispatcher
from tiffin.runtime.batching.link import Link
from tiffin.runtime.manifest import RunnerSpec
from tiffin.runtime.metrics import Metrics
from tiffin.runtime.server.links import Links
from tiffin.runtime.supervisor.control import WorkerAddress


class Scene:
    """Links to sockets at which nobody ever accepts."""

    def __init__(self, folder: Path, patience_s: float, **options: Any) -> None:
        self.folder = folder
        self.metrics = Metrics.open(folder, "api-0", "fake")
        self.stuck: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.listening: list[socket.socket] = []
        self.links = Links(
            {"forest": Dispatcher(RunnerSpec(name="forest"), metrics=self.metrics.runner("forest"))},
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
        scene = Scene(tmp_path, 0.05)
        scene.links.follow([WorkerAddress(id="forest-0-1", runner="forest", address=str(tmp_path / "none"))])
        await asyncio.sleep(0.3)
        assert scene.stuck.empty()
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


@pytest.mark.parametrize("forgotten_first", [True, False])
def test_nothing_is_left_after_close(tmp_path: Path, forgotten_first: bool) -> None:
    async def play() -> None:
        scene = Scene(tmp_path, 60.0)
        scene.links.follow([scene.mute("forest-0-1"), scene.mute("forest-1-2")])
        await asyncio.sleep(0.05)
        if forgotten_first:
            scene.links.follow([])
        assert len(asyncio.all_tasks()) > 2
        await scene.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

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
