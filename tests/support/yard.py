"""Both sides of the wire between containers, in one process: a gate, real workers behind it, a region."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from tiffin.runtime.batching.dispatcher import Dispatcher
from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.metrics import Metrics
from tiffin.runtime.roles.dial import Address, Credentials
from tiffin.runtime.roles.gate import Gate
from tiffin.runtime.roles.handover import Door
from tiffin.runtime.roles.messages import Terms
from tiffin.runtime.roles.metrics import GateMetrics
from tiffin.runtime.roles.options import TlsFiles
from tiffin.runtime.roles.places import Place
from tiffin.runtime.roles.region import Region
from tiffin.runtime.roles.terms import Ours
from tiffin.runtime.roles.tls import of_api, of_workers
from tiffin.runtime.supervisor.control import WorkerAddress
from tiffin.runtime.supervisor.sockets import CONTAINERS, listen
from tiffin.runtime.worker.__main__ import listen as listen_on_path
from tiffin.runtime.worker.serve import Server

TOKEN = b"a secret that is long enough"
LIMIT_S = 120.0
SPEC = RunnerSpec(
    name="doubler",
    cls="service:Doubler",
    methods={"double": MethodSpec(), "hang": MethodSpec(batch=False)},
)
PLACE = Place("workers", 7000)


def ours(methods: str = "m1", models: str = "v1", bundle: str = "b1", runner: str = "doubler") -> Ours:
    return Ours(
        title="demo:1", bundle=bundle, terms={runner: Terms(methods=methods, models=models, shown="demo:1")}
    )


def credentials(token: bytes = TOKEN, tls: TlsFiles = TlsFiles()) -> Credentials:  # noqa: B008
    return Credentials(token=token, tls=of_api(tls), name=tls.name, peer="api-0 of tests")


class Hand(threading.Thread):
    """A worker behind a gate: the real loop with a model that doubles, in a thread."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.address = WorkerAddress(id=name, runner="doubler", address=str(folder / f"{name}.sock"))
        self.spec = SPEC
        self.staging = None
        self.may_answer = threading.Event()
        """Until it is set, `hang` hangs."""
        self._server: Any = Server(self, Door.of(listen_on_path(self.address.address)))  # type: ignore[arg-type]
        self.start()

    def run(self) -> None:
        self._server.run()

    def stop(self, limit_s: float) -> None:
        if limit_s == 0:
            self.may_answer.set()
        with contextlib.suppress(OSError):  # it has ended by itself
            self._server.stop(limit_s)

    def call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if method == "hang":
            self.may_answer.wait(LIMIT_S)
            return self.name
        return args[0] * 2


class Yard:
    """A worker container: a gate on a port of its own.

    Args:
        folder: for sockets and counters.
        served: what it says that it serves.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        served: Ours | None = None,
        tls: TlsFiles = TlsFiles(),  # noqa: B008
        instance: str = "yard/1",
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.metrics = Metrics.open(self.folder, "gate-0", "demo")
        self.stuck: list[tuple[str, str]] = []
        sockets = listen(host, port, CONTAINERS)
        self.port = int(sockets[0].getsockname()[1])
        self.address = Address(socket.AF_INET, host, self.port, host)
        self.workers: list[Hand] = []
        self.gate = Gate(
            sockets,
            instance=instance,
            ours=served or ours(),
            token=TOKEN,
            tls=of_workers(tls),
            metrics=GateMetrics(self.metrics),
            on_stuck=lambda *told: self.stuck.append(told),
        )
        self.gate.start()

    def hire(self, number: int = 1) -> None:
        """Starts workers and posts them."""
        for _ in range(number):
            self.workers.append(Hand(self.folder, f"doubler-0-{len(self.workers)}"))
        self.post()

    def post(self, *more: WorkerAddress) -> None:
        self.gate.follow([*(one.address for one in self.workers), *more])

    async def close(self, limit_s: float = 5.0) -> None:
        await self.gate.close(limit_s)
        for one in self.workers:
            one.stop(0.0)
            await asyncio.to_thread(one.join)
        self.metrics.close()


class Seat:
    """An API process: one dispatcher and the region that finds workers for it."""

    def __init__(
        self,
        folder: Path,
        addresses: list[Address],
        *,
        known: Ours | None = None,
        match: Any = "model",
        show: Credentials | None = None,
    ) -> None:
        self.addresses = addresses
        self.metrics = Metrics.open(Path(tempfile.mkdtemp(dir=folder)), "api-0", "demo")
        self.dispatcher = Dispatcher(SPEC, metrics=self.metrics.runner("doubler"))
        self.changed = asyncio.Event()
        self.region = Region(
            [PLACE],
            {"doubler": self.dispatcher},
            credentials=show or credentials(),
            ours=known or ours(),
            match=match,
            on_change=self.changed.set,
            patience_s=20.0,
            resolve=self._resolve,
        )
        self.region.start()

    async def _resolve(self, _place: object) -> list[Address]:
        return list(self.addresses)

    async def look(self) -> None:
        """Asks for the addresses once more, now."""
        await self.region._directory.look()

    async def until_workers(self, number: int) -> None:
        await until(lambda: len(self.region.workers()) == number == self.dispatcher.workers)

    def call(self, *rows: float, method: str = "double") -> asyncio.Future[Any]:
        return asyncio.ensure_future(
            self.dispatcher.call(method, (np.array(rows, dtype=float).reshape(-1, 1),), {})
        )

    async def close(self) -> None:
        self.dispatcher.close()
        await self.region.close()
        self.metrics.close()


async def until(holds: Callable[[], object]) -> None:
    async def wait() -> None:
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), LIMIT_S)


def play(scene: Callable[[contextlib.AsyncExitStack], Awaitable[None]]) -> None:
    """Runs it; what it opened is closed in the end."""

    async def whole() -> None:
        async with contextlib.AsyncExitStack() as stack:
            await scene(stack)

    asyncio.run(whole())
