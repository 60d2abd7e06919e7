"""Which worker containers there are now, as the names of their hosts say."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Sequence

from .dial import Address
from .places import Place

log = logging.getLogger("tiffin.roles")

INTERVAL_S = 5.0
JITTER = 0.2
"""Share by which a pause differs, so that the processes of a service do not ask all at once."""
LEAST_PAUSE_S = 0.5
"""However often somebody is in a hurry."""
MISSES = 3
"""Answers in a row without an address until it counts as gone: servers of names leave some out at times."""

Resolve = Callable[[Place], Awaitable[list[Address]]]


async def resolve(place: Place) -> list[Address]:
    """Every address of a host.

    Raises:
        OSError: the name is unknown, or nobody answers.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        place.host, place.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    return [Address(family, str(where[0]), place.port, place.host) for family, _, _, _, where in found]


class Directory:
    """
    Args:
        on_addresses: told all addresses, after every answer.
        resolve: asks for those of one place.
    """

    def __init__(
        self,
        places: Sequence[Place],
        on_addresses: Callable[[set[Address]], None],
        resolve: Resolve = resolve,
    ) -> None:
        self._places = places
        self._on_addresses = on_addresses
        self._resolve = resolve
        self._missed: dict[Place, dict[Address, int]] = {place: {} for place in places}
        """Address to the answers in a row that were without it."""
        self._said: dict[Place, str] = {}
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """Something has changed: ask soon."""
        self._hurried.set()

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            self._hurried.clear()
            await self.look()
            await asyncio.sleep(LEAST_PAUSE_S)
            pause_s = INTERVAL_S * random.uniform(1 - JITTER, 1 + JITTER) - LEAST_PAUSE_S  # noqa: S311
            hurried: asyncio.Future[object] = asyncio.ensure_future(self._hurried.wait())
            try:
                await asyncio.wait({hurried}, timeout=pause_s)
            finally:
                hurried.cancel()

    async def look(self) -> None:
        """Asks once."""
        await asyncio.gather(*(self._look_up(place) for place in self._places))
        self._on_addresses({address for known in self._missed.values() for address in known})

    async def _look_up(self, place: Place) -> None:
        try:
            found = set(await self._resolve(place))
        except OSError as error:  # what was known stays: names fail more often than containers
            self._say(place, f"{place.host} has no address: {error.strerror or error}")
            return
        self._say(place, "")
        known = self._missed[place]
        for address in list(known):
            known[address] = 0 if address in found else known[address] + 1
            if known[address] >= MISSES:
                del known[address]
        for address in found:
            known[address] = 0

    def _say(self, place: Place, problem: str) -> None:
        if problem and problem != self._said.get(place):
            log.warning("%s", problem)
        self._said[place] = problem
