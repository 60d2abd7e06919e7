"""The door of a worker container: lets in who knows the token, and gives each connection to its worker.

Workers have one thread, which runs models: they cannot ask strangers who they are. Here that is done, with
bounds on what a stranger can take: so many at a time, so long, so many bytes. Who stands there longest goes
when one more comes, so that strangers keep nobody out.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence

import msgspec

from ... import __version__
from ...errors import WireError
from ..supervisor.control import WorkerAddress
from ..wire.messages import PROTOCOL as FRAMES
from .handover import hand_over
from .messages import (
    PROTOCOL,
    ROSTER_BYTES,
    Challenge,
    Knock,
    Ping,
    Pong,
    Posted,
    Refused,
    Roster,
    Stuck,
    Welcome,
    encode,
    printable,
)
from .metrics import GateMetrics
from .proof import knock_holds, nonce, prove_welcome
from .relay import Half, pair
from .session import Session
from .terms import Ours
from .throttle import Throttle

log = logging.getLogger("tiffin.gate")

MAX_STRANGERS = 64
"""Connections at a time that have not proved anything yet."""
STRANGER_S = 5.0
"""How long one may take for TLS and its proof; it takes milliseconds."""
PEER_SILENCE_S = 30.0
"""An API process that does not ask for so long is gone: it asks every second."""
AGAIN_S = 0.1
"""After the system refused to accept (no descriptors left)."""


class _RefusedError(Exception):
    """Of one connection.

    Args:
        kind: for the metric, of a small set.
        why: for both logs.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class Gate:
    """
    Args:
        listening: sockets, of which this takes connections until `close`.
        instance: names this start of this container.
        tls: None takes connections without.
        on_stuck: told (worker id, reason) of a worker that an API process waits for in vain.
    """

    def __init__(
        self,
        listening: Sequence[socket.socket],
        *,
        instance: str,
        ours: Ours,
        token: bytes,
        tls: ssl.SSLContext | None,
        metrics: GateMetrics,
        on_stuck: Callable[[str, str], None],
    ) -> None:
        self._listening = listening
        self._instance = instance
        self._ours = ours
        self._token = token
        self._tls = tls
        self._metrics = metrics
        self._on_stuck = on_stuck
        self._workers: dict[str, WorkerAddress] = {}
        self._leaving = False
        self._accepting: list[asyncio.Task[None]] = []
        self._strangers: dict[Session, asyncio.Task[None]] = {}
        """Who has not proved anything, who came first first."""
        self._visits: set[asyncio.Task[None]] = set()
        self._rosters: set[Session] = set()
        self._relays: set[Half] = set()
        self._throttle = Throttle(log)

    def follow(self, workers: Sequence[WorkerAddress]) -> None:
        """These are warm now: every API process is told, unless it knows, as after `lose`."""
        known, self._workers = self._workers, {worker.id: worker for worker in workers}
        if self._workers != known:
            self._tell()

    def lose(self, worker: str) -> None:
        """Its process has ended: every API process is told."""
        self._workers.pop(worker, None)
        self._tell(gone=[worker])

    def runners(self) -> set[str]:
        """Runners that have a warm worker."""
        return {worker.runner for worker in self._workers.values()}

    def start(self) -> None:
        """Accepts from now on."""
        if not self._accepting:
            self._accepting = [asyncio.create_task(self._accept(one)) for one in self._listening]

    async def close(self, limit_s: float) -> None:
        """Says goodbye, waits until workers and API processes have done with each other, and ends.

        Args:
            limit_s: seconds after which what is still open is cut.
        """
        for task in [*self._accepting, *self._strangers.values()]:
            task.cancel()
        for one in self._listening:
            one.close()
        self._leaving = True
        self._tell()
        waiting = [asyncio.ensure_future(half.closed.wait()) for half in self._relays]
        if waiting:
            await asyncio.wait(waiting, timeout=limit_s)
        for half in self._relays:
            half.abort()
        for session in list(self._rosters):
            session.close()
        for task in list(self._visits):
            task.cancel()
        await asyncio.gather(*self._visits, *self._accepting, *waiting, return_exceptions=True)

    # strangers

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:
                self._throttle.warn("accept", f"connections cannot be accepted: {error}")
                await asyncio.sleep(AGAIN_S)
                continue
            connection.setblocking(False)
            if len(self._strangers) >= MAX_STRANGERS:
                self._strangers.pop(next(iter(self._strangers))).cancel()
            session = Session()
            visit = asyncio.create_task(self._visit(session, connection, str(address[0])))
            self._strangers[session] = visit
            self._visits.add(visit)
            visit.add_done_callback(self._visits.discard)

    async def _visit(self, session: Session, connection: socket.socket, address: str) -> None:
        """From the first byte until the connection is somebody else's, or closed."""
        try:
            try:
                knock = await asyncio.wait_for(self._know(session, connection), STRANGER_S)
            except asyncio.TimeoutError:
                raise _RefusedError("too slow", f"nothing was proved within {STRANGER_S:g} s") from None
            self._strangers.pop(session, None)
            if knock.worker:
                await self._pass_on(session, connection, knock)
            else:
                await self._keep_posted(session, knock)
        except _RefusedError as refusal:
            self._refuse(session, address, refusal)
        except WireError as error:
            self._refuse(session, address, _RefusedError("malformed", str(error)))
        except ssl.SSLError as error:
            self._refuse(session, address, _RefusedError("tls", f"no TLS: {error.reason or error}"))
        except OSError as error:
            log.debug("%s has gone: %s", address, error)
        finally:
            self._strangers.pop(session, None)
            session.close()

    async def _know(self, session: Session, connection: socket.socket) -> Knock:
        """Who it is, and what it wants.

        Raises:
            _RefusedError: it has another token, or speaks another version.
            WireError: what it says makes no sense.
            OSError: it went away, or its TLS does not suit ours.
        """
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(
            lambda: session,
            connection,
            ssl=self._tls,
            ssl_handshake_timeout=STRANGER_S if self._tls else None,
        )
        challenge = nonce()
        session.send(Challenge(protocol=PROTOCOL, frames=FRAMES, version=__version__, nonce=challenge))
        knock = await session.receive(Knock)
        if (knock.protocol, knock.frames) != (PROTOCOL, FRAMES):
            raise _RefusedError(
                "version",
                f"it runs tiffin {printable(knock.version, 20)} (protocol {knock.protocol}.{knock.frames}), "
                f"here is {__version__} ({PROTOCOL}.{FRAMES}): use the same version on both sides",
            )
        if not knock_holds(self._token, knock, challenge):
            raise _RefusedError(
                "token", "it has another token (TIFFIN_TOKEN, TIFFIN_TOKEN_FILE) than this side"
            )
        return knock

    def _refuse(self, session: Session, address: str, refusal: _RefusedError) -> None:
        self._metrics.refused(refusal.kind)
        self._throttle.warn(refusal.kind, f"{address} was refused: {refusal}")
        session.send(Refused(why=str(refusal)))

    # who is known

    async def _pass_on(self, session: Session, connection: socket.socket, knock: Knock) -> None:
        worker = self._workers.get(knock.worker)
        if worker is None or knock.instance != self._instance or self._leaving:
            session.send(Refused(why=f"worker {knock.worker} is not here any more"))
            return
        welcome = prove_welcome(self._token, Welcome(instance=self._instance), knock)
        if self._tls is not None:
            await self._relay(session, worker, welcome)
            return
        hand_over(connection, worker.address)
        # All that was written before has been answered, so the transport holds nothing back.
        connection.send(encode(welcome))
        session.abort()  # our copy; the connection lives on in the worker

    async def _relay(self, session: Session, worker: WorkerAddress, welcome: Welcome) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            hand_over(theirs, worker.address)
        outside, inside = pair()
        ours.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: inside, sock=ours)
        session.send(welcome)
        if session.transport is None:
            return
        session.transport.set_protocol(outside)
        outside.connection_made(session.transport)
        self._relays.add(outside)
        try:
            await outside.closed.wait()
        finally:
            self._relays.discard(outside)

    async def _keep_posted(self, session: Session, knock: Knock) -> None:
        """Tells an API process who is here, for as long as it asks."""
        session.allow(ROSTER_BYTES)
        session.send(prove_welcome(self._token, Welcome(instance=self._instance), knock))
        session.send(self._roster())
        self._rosters.add(session)
        self._metrics.peers(len(self._rosters))
        log.info("%s is connected", printable(knock.peer, 100))
        try:
            while True:
                message = await asyncio.wait_for(session.receive_any(), PEER_SILENCE_S)
                if isinstance(message, Ping):
                    session.send(Pong())
                elif isinstance(message, Stuck) and message.worker in self._workers:
                    self._on_stuck(message.worker, f"{message.reason} (says {printable(knock.peer, 100)})")
        except (OSError, asyncio.TimeoutError):
            log.info("%s has gone", printable(knock.peer, 100))
        finally:
            self._rosters.discard(session)
            self._metrics.peers(len(self._rosters))

    def _tell(self, gone: Sequence[str] = ()) -> None:
        roster = self._roster(gone)
        for session in self._rosters:
            session.send(roster)

    def _roster(self, gone: Sequence[str] = ()) -> Roster:
        return Roster(
            **msgspec.structs.asdict(self._ours),
            version=__version__,
            workers=[]
            if self._leaving
            else [Posted(id=one.id, runner=one.runner) for one in self._workers.values()],
            gone=list(gone),
            leaving=self._leaving,
        )
