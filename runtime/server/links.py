"""Connections to the workers, kept as the supervisor names them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from ...errors import UnavailableError
from ..batching.dispatcher import Dispatcher
from ..batching.link import Link, connect
from ..supervisor.control import WorkerAddress

logger = logging.getLogger("tiffin.server")

RETRY_S = 0.05
"""A worker that is named but cannot be reached is tried again: it may only have dropped this connection."""


class Links:
    """One connection to every warm worker.

    Args:
        dispatchers: runner to the dispatcher that its workers serve.
        on_change: called when a worker was connected or lost.
    """

    def __init__(self, dispatchers: Mapping[str, Dispatcher], on_change: Callable[[], None]) -> None:
        self._dispatchers = dispatchers
        self._on_change = on_change
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._links: dict[str, tuple[str, Link]] = {}

    def follow(self, workers: list[WorkerAddress]) -> None:
        """Connects to the new, lets go of the gone."""
        named = {worker.id: worker for worker in workers}
        for gone in self._keepers.keys() - named.keys():
            self._keepers.pop(gone).cancel()
        for worker in named.values():
            if worker.id not in self._keepers:
                self._keepers[worker.id] = asyncio.create_task(self._keep(worker))

    def connected(self, worker: str) -> bool:
        return worker in self._links

    def runners(self) -> set[str]:
        """Runners that have a worker."""
        return {runner for runner, _ in self._links.values()}

    async def close(self) -> None:
        keepers = list(self._keepers.values())
        self.follow([])
        await asyncio.gather(*keepers, return_exceptions=True)

    async def _keep(self, worker: WorkerAddress) -> None:
        dispatcher = self._dispatchers[worker.runner]
        while True:
            try:
                link = await connect(worker, dispatcher)
            except UnavailableError as error:
                logger.debug("%s", error)
                await asyncio.sleep(RETRY_S)
                continue
            self._links[worker.id] = (worker.runner, link)
            self._on_change()
            try:
                await link.closed.wait()
            finally:
                link.close()
                del self._links[worker.id]
                self._on_change()
