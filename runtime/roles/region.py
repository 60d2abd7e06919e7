"""The worker containers behind the same names, and the stations that speak with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from ..batching.dispatcher import Dispatcher
from ..server.unseen import unseen
from .dial import Address, Credentials
from .directory import Directory, Resolve, resolve
from .options import Match
from .places import Place
from .station import Station
from .terms import Ours


class Region:
    """
    Args:
        dispatchers: runner to the dispatcher that its workers serve, of the runners that are looked for here.
        on_change: called when a worker was connected or lost.
        patience_s: how long a worker may take to say hello, in seconds.
        resolve: asks for the addresses of a place.
    """

    def __init__(
        self,
        places: Sequence[Place],
        dispatchers: Mapping[str, Dispatcher],
        *,
        credentials: Credentials,
        ours: Ours,
        match: Match,
        on_change: Callable[[], None],
        patience_s: float,
        resolve: Resolve = resolve,
    ) -> None:
        self._dispatchers = dispatchers
        self._credentials = credentials
        self._ours = ours
        self._match = match
        self._on_change = on_change
        self._patience_s = patience_s
        self._directory = Directory(places, self._follow, resolve)
        self._stations: dict[Address, tuple[Station, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """All of the stations, also those that are told to end."""
        self._claims: dict[str, Station] = {}
        """Container to the station that speaks with it."""
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._looking = unseen(asyncio.create_task(self._directory.follow()))

    def workers(self) -> list[str]:
        """The runner of every worker that is connected."""
        return [runner for station, _ in self._stations.values() for runner in station.workers()]

    def report_stuck(self, worker: str, reason: str) -> bool:
        """Has its container replace a worker; False when none of these has it."""
        return any(station.report_stuck(worker, reason) for station, _ in self._stations.values())

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        self._follow(set())
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _follow(self, addresses: set[Address]) -> None:
        for gone in self._stations.keys() - addresses:
            _, task = self._stations.pop(gone)
            task.cancel()
        for address in addresses - self._stations.keys():
            station = Station(
                address,
                self._dispatchers,
                credentials=self._credentials,
                ours=self._ours,
                match=self._match,
                claims=self,
                on_change=self._on_change,
                on_lost=self._directory.hurry,
                patience_s=self._patience_s,
            )
            task = unseen(asyncio.create_task(station.keep()))
            self._stations[address] = station, task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # what stations ask

    def claim(self, instance: str, station: Station) -> bool:
        """Two addresses may lead to the same container: False when another station speaks with it."""
        if self._claims.setdefault(instance, station) is not station:
            return False
        self.release(station)
        self._claims[instance] = station
        return True

    def release(self, station: Station) -> None:
        self._claims = {instance: one for instance, one in self._claims.items() if one is not station}
