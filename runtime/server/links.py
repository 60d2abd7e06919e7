"""Connections to the workers, kept as the supervisor names them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from ...errors import UnavailableError, WireError
from ..batching.dispatcher import Dispatcher
from ..batching.link import Link, connect
from ..supervisor.control import WorkerAddress
from .unseen import unseen

logger = logging.getLogger("tiffin.server")

RETRY_S = 0.05
"""A worker that is named but cannot be reached is tried again: it may only have dropped this connection."""


class Connect(Protocol):
    """Connects to a warm worker and adds it to the dispatcher, as `batching.link.connect` does."""

    async def __call__(self, address: WorkerAddress, dispatcher: Dispatcher, *, timeout_s: float) -> Link: ...


class Links:
    """One connection to every warm worker.

    Args:
        dispatchers: runner to the dispatcher that its workers serve.
        on_change: called when a worker was connected or lost.
        on_stuck: told (worker id, reason) of a worker that does not say hello.
        patience_s: how long it may take to, in seconds: longer than any batch that somebody still waits for.
        retry_s: pause after a worker could not be reached.
    """

    def __init__(
        self,
        dispatchers: Mapping[str, Dispatcher],
        on_change: Callable[[], None],
        *,
        on_stuck: Callable[[str, str], object],
        patience_s: float,
        connect: Connect = connect,
        retry_s: float = RETRY_S,
    ) -> None:
        self._dispatchers = dispatchers
        self._on_change = on_change
        self._on_stuck = on_stuck
        self._patience_s = patience_s
        self._connect = connect
        self._retry_s = retry_s
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """The keepers, and those that are told to end."""
        self._links: dict[str, tuple[str, Link]] = {}
        self._open: dict[str, Link] = {}
        """Also those that only wait for what the worker has in hand."""

    def follow(self, workers: list[WorkerAddress]) -> None:
        """Connects to the new, lets go of the gone."""
        named = {worker.id: worker for worker in workers}
        self._open = {name: link for name, link in self._open.items() if not link.closed.is_set()}
        for gone in self._keepers.keys() - named.keys():
            self._keepers.pop(gone).cancel()
        for worker in named.values():
            if worker.id not in self._keepers:
                keeper = self._keepers[worker.id] = unseen(asyncio.create_task(self._keep(worker)))
                self._tasks.add(keeper)
                keeper.add_done_callback(self._tasks.discard)

    def connected(self, worker: str) -> bool:
        return worker in self._links

    def runners(self) -> set[str]:
        """Runners that have a worker."""
        return {runner for runner, _ in self._links.values()}

    def workers(self) -> list[str]:
        """The runner of every worker that is connected."""
        return [runner for runner, _ in self._links.values()]

    def lose(self, worker: str, after_s: float = 0.0) -> None:
        """Its process has ended, whatever the connection says: what it held is run again elsewhere.

        Args:
            after_s: how long its last words may be on their way, in seconds.
        """
        link = self._open.get(worker)
        if link is None:
            return
        if after_s:
            asyncio.get_running_loop().call_later(after_s, link.lose)
        else:
            link.lose()

    def cut(self) -> None:
        """Loses every connection at once: what workers hold is run again elsewhere."""
        for _, link in list(self._links.values()):
            link.abort()

    async def close(self) -> None:
        self.follow([])
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, worker: WorkerAddress) -> None:
        dispatcher = self._dispatchers[worker.runner]
        now = asyncio.get_running_loop().time
        # Asked anew each time: before Python 3.12 `asyncio.wait_for` may swallow a cancellation.
        while worker.id in self._keepers:
            began = now()
            try:
                link = await self._connect(worker, dispatcher, timeout_s=self._patience_s)
            except (UnavailableError, WireError) as error:
                logger.debug("%s", error)
                if now() - began >= self._patience_s:
                    # It computes something that nobody waits for: who asked is gone, and cannot report it.
                    self._on_stuck(worker.id, f"did not say hello within {self._patience_s:g} s")
                await asyncio.sleep(self._retry_s)
                continue
            self._open[worker.id] = link
            if worker.id not in self._keepers:
                link.close()
                return
            self._links[worker.id] = (worker.runner, link)
            self._on_change()
            try:
                await link.closed.wait()
            finally:
                link.close()
                del self._links[worker.id]
                self._on_change()
