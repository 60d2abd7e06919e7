"""One worker container, as an API process sees it: who works there, and whether it still lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from ...errors import UnavailableError, WireError
from ..batching.dispatcher import Dispatcher
from ..batching.link import Link
from ..server.links import Links
from ..server.unseen import unseen
from ..supervisor.control import WorkerAddress
from .dial import Address, Caller, Credentials, dial
from .messages import Ping, Pong, Roster, Stuck
from .options import Match
from .terms import Ours, difference

log = logging.getLogger("tiffin.roles")

PING_S = 1.0
SILENT_PINGS = 5
"""Unanswered in a row: the container, or the way to it, is gone."""
FIRST_DELAY_S = 0.1
MAX_DELAY_S = 3.0
"""Between two tries to reach it."""
WORKER_RETRY_S = 0.2
LAST_WORDS_S = 1.0
"""What a worker that has ended still said comes another way than the news of its end."""
TWIN_S = 30.0
"""How often an address that leads to a container known by another is tried: it may be the only one left."""


class Claims(Protocol):
    """Two addresses may lead to the same container, whose workers must count once."""

    def claim(self, instance: str, station: Station) -> bool: ...
    def release(self, station: Station) -> None: ...


class Station:
    """
    Args:
        dispatchers: runner to the dispatcher that its workers serve, of the runners that are looked for here.
        on_change: called when a worker was connected or lost.
        on_lost: called when the container is not reached any more.
        patience_s: how long a worker may take to say hello, in seconds.
    """

    def __init__(
        self,
        address: Address,
        dispatchers: Mapping[str, Dispatcher],
        *,
        credentials: Credentials,
        ours: Ours,
        match: Match,
        claims: Claims,
        on_change: Callable[[], None],
        on_lost: Callable[[], None],
        patience_s: float,
    ) -> None:
        self.address = address
        self._dispatchers = dispatchers
        self._credentials = credentials
        self._ours = ours
        self._match = match
        self._claims = claims
        self._on_lost = on_lost
        self._instance = ""
        self._said = ""
        self._caller: Caller | None = None
        self._links = Links(
            dispatchers,
            on_change,
            on_stuck=self.report_stuck,
            patience_s=patience_s,
            connect=self._connect,
            retry_s=WORKER_RETRY_S,
        )

    def workers(self) -> list[str]:
        """The runner of every worker that is connected."""
        return self._links.workers()

    def report_stuck(self, worker: str, reason: str) -> bool:
        """Has the container replace a worker of its own; False when it is none of its.

        Args:
            worker: its id here.
        """
        own, _, container = worker.partition("@")
        if self._caller is None or container != f"{self.address}/{self._instance}":
            return False
        self._caller.session.send(Stuck(worker=own, reason=reason))
        return True

    async def keep(self) -> None:
        """Until it is cancelled: then workers finish what they have in hand."""
        delay_s = FIRST_DELAY_S
        silent_since: float | None = None
        now = asyncio.get_running_loop().time
        try:
            while True:
                try:
                    caller = await dial(self.address, self._credentials)
                except UnavailableError as error:
                    self._say(str(error))
                else:
                    silent_since, delay_s = None, FIRST_DELAY_S
                    await self._attend(caller)
                    silent_since = now()
                    self._on_lost()
                if silent_since is not None and now() - silent_since >= PING_S * SILENT_PINGS:
                    self._links.cut()
                await asyncio.sleep(delay_s)
                delay_s = min(MAX_DELAY_S, delay_s * 2)
        finally:
            self._claims.release(self)
            await self._links.close()

    async def _attend(self, caller: Caller) -> None:
        """As long as the container answers."""
        if not self._claims.claim(caller.instance, self):
            self._say(f"{self.address} is a container that is known by another address", good=True)
            caller.abort()
            await asyncio.sleep(TWIN_S)
            return
        self._caller, self._instance = caller, caller.instance
        heard = asyncio.Event()
        listening = unseen(asyncio.create_task(self._listen(caller, heard)))
        silent = 0
        try:
            while silent < SILENT_PINGS:
                caller.session.send(Ping())
                await asyncio.wait({listening}, timeout=PING_S)
                if listening.done():
                    break
                silent = 0 if heard.is_set() else silent + 1
                heard.clear()
            else:
                silence_s = PING_S * SILENT_PINGS
                self._say(f"{self.address} has said nothing for {silence_s:g} s: its connections are cut")
                self._links.cut()
        finally:
            self._caller = None
            listening.cancel()
            caller.abort()
            await asyncio.wait({listening})

    async def _listen(self, caller: Caller, heard: asyncio.Event) -> None:
        """Follows the roster, until the container says goodbye or the connection ends."""
        try:
            while True:
                message = await caller.session.receive_any()
                heard.set()
                if isinstance(message, Roster):
                    for worker in message.gone:
                        self._links.lose(self._id(worker), LAST_WORDS_S)
                    self._follow(message)
                    if message.leaving:
                        self._say(f"{self.address} is leaving")
                        return
                elif not isinstance(message, Pong):
                    raise WireError(f"a worker container does not send {type(message).__name__}")  # noqa: TRY301
        except (OSError, WireError) as error:
            self._say(f"{self.address}: the connection is lost: {error}")

    def _follow(self, roster: Roster) -> None:
        known = [name for name in self._dispatchers if name in roster.terms]
        refused = {name: difference(name, self._ours, roster, self._match) for name in known}
        workers = [
            WorkerAddress(id=self._id(posted.id), runner=posted.runner, address=posted.id)
            for posted in roster.workers
            if posted.runner in known and not refused[posted.runner]
        ]
        if not known:
            self._say(
                f"{self.address} runs {', '.join(roster.terms)}: none of {', '.join(self._dispatchers)}"
            )
        elif any(refused.values()):
            self._say(f"{self.address} is not used: " + "; ".join(why for why in refused.values() if why))
        elif not roster.leaving:
            counts = {name: sum(one.runner == name for one in workers) for name in known}
            listed = ", ".join(f"{name} {count}" for name, count in counts.items())
            self._say(f"{self.address} has joined: {roster.title}, workers: {listed}", good=True)
        self._links.follow(workers)

    async def _connect(self, address: WorkerAddress, dispatcher: Dispatcher, *, timeout_s: float) -> Link:
        caller = await dial(self.address, self._credentials, address.address, self._instance)
        link = caller.become_link(address.id, dispatcher)
        return await link.until_greeted(timeout_s)

    def _id(self, worker: str) -> str:
        """As this process knows it."""
        return f"{worker}@{self.address}/{self._instance}"

    def _say(self, text: str, *, good: bool = False) -> None:
        """Once, until there is something else to say."""
        if text != self._said:
            self._said = text
            log.log(logging.INFO if good else logging.WARNING, "%s", text)
