"""uvicorn on the sockets that the supervisor gave us."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Sequence
from math import inf
from typing import Any

import uvicorn

from ..http.app import create_app
from ..http.protocol import make_protocol
from ..http.serving import Serving
from ..http.state import ServerState
from ..http.tls import Tls, TlsFiles
from ..http.websocket_protocol import websocket_options
from ..supervisor.sockets import BACKLOG
from .unseen import unseen

KEEP_ALIVE_S = 75
"""Longer than the 60 s after which common load balancers drop an idle connection: the side that may still
send must not be the one that finds it closed."""

ACCEPT_LIMIT_S = 1.0
"""In a drain: longest that callers who go on connecting are accepted."""


class Listener:
    """Accepts connections from `start` to `drain`.

    Args:
        descriptors: listening sockets, inherited.
    """

    def __init__(self, state: ServerState, descriptors: Sequence[int]) -> None:
        self._state = state
        self._sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        config = uvicorn.Config(
            create_app(state),
            http=make_protocol(state),
            **websocket_options(state),
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        config.load()
        files = TlsFiles.of(state.options)
        self._tls = None if files is None else Tls(files)
        if self._tls is not None:
            config.ssl = self._tls.context
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        self._clock: asyncio.Task[None] | None = None
        self._linger_until = inf

    async def start(self) -> None:
        await Serving.of(self._state).mounts.open()  # before uvicorn does: it would end the process silently
        await self._server.startup(sockets=self._sockets)
        self._clock = unseen(asyncio.create_task(self._tell_time()))
        if self._tls is not None:
            self._tls.follow(asyncio.get_running_loop())

    async def close(self, *, accept_first: bool) -> None:
        """Accepts nothing more.

        Args:
            accept_first: what waits in the kernel by now: else whoever listens on the same sockets will.
        """
        if self._clock is None:
            return
        now = asyncio.get_running_loop().time
        end = now() + ACCEPT_LIMIT_S
        await asyncio.sleep(0)
        # uvloop accepts one connection a turn, and closing resets those that still wait.
        while accept_first and self._someone_waits() and now() < end:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for server in self._server.servers:
            server.close()

    def _someone_waits(self) -> bool:
        poll = select.poll()
        for opened in self._sockets:
            poll.register(opened.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    async def drain(self, limit_s: float, linger_s: float) -> int:
        """Waits for the requests in hand.

        Args:
            limit_s: seconds until the rest is cut off.
            linger_s: seconds until connections without a request are closed.

        Returns:
            How many requests were cut off.
        """
        if self._clock is None:
            return 0
        now = asyncio.get_running_loop().time
        end = now() + limit_s
        self._linger_until = min(self._linger_until, end, now() + linger_s)
        while self._server.server_state.connections and now() < self._linger_until:  # noqa: ASYNC110 - uvicorn has none
            await asyncio.sleep(0.01)
        left_s: Any = max(0.0, end - now())  # uvicorn says int, a float works as well
        self._server.config.timeout_graceful_shutdown = left_s
        await self._server.shutdown(sockets=self._sockets)
        self._clock.cancel()
        if self._tls is not None:
            self._tls.close()
        return self._state.in_flight

    def hurry(self, linger_s: float) -> None:
        """A drain lets connections without a request be no longer than this, in seconds from now."""
        self._linger_until = min(self._linger_until, asyncio.get_running_loop().time() + linger_s)

    async def _tell_time(self) -> None:
        """Keeps the `Date` header right; uvicorn's own loop does it too, but wakes ten times a second."""
        while True:
            await self._server.on_tick(0)
            await asyncio.sleep(1.0)
