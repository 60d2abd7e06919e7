"""uvicorn on the sockets that the supervisor gave us."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import uvicorn

from ..http.app import create_app
from ..http.protocol import make_protocol
from ..http.state import ServerState
from ..supervisor.sockets import BACKLOG

KEEP_ALIVE_S = 75
"""Longer than the 60 s after which common load balancers drop an idle connection: the side that may still
send must not be the one that finds it closed."""


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
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._server.startup(sockets=self._sockets)
        self._loop = asyncio.create_task(self._server.main_loop())

    def close(self) -> None:
        """Accepts nothing more; what was accepted goes on."""
        if self._loop is not None:
            for server in self._server.servers:
                server.close()

    async def drain(self, limit_s: float) -> int:
        """Waits for the requests in hand.

        Args:
            limit_s: seconds until the rest is cut off.

        Returns:
            How many requests were cut off.
        """
        if self._loop is None:
            return 0
        self._server.should_exit = True
        self._server.config.timeout_graceful_shutdown = limit_s  # type: ignore[assignment]  # a float works as well
        await self._loop
        await self._server.shutdown(sockets=self._sockets)
        return self._state.in_flight
