"""What all connections of one API process share."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import msgspec

from ..auth.guard import Guard
from ..protocols.endpoints import Endpoints
from ..protocols.oip.management import Management
from ..protocols.registry import protocols
from ..service import forked
from ..service.context import RequestContext
from . import explanation
from .access_log import AccessLog
from .bodies import Bodies
from .cors import Cors
from .deadlines import Deadlines
from .head import KnownHeads
from .ledger import Ledger
from .mounts import Mounts
from .peers import Peers
from .problem import Problem, problem
from .reply import field_lines, status_line
from .routes import UNMATCHED, RouteTable
from .sweeper import Sweeper
from .threads import Threads

if TYPE_CHECKING:
    from ..grpc.door import GrpcDoor
    from ..protocols.protocol import Protocol
    from .http2_door import Http2Door
    from .routes import Route
    from .state import ServerState

MESSAGE_MARGIN_BYTES = 64 * 1024
"""What a message of gRPC may have besides its tensors."""

_MAX_OPENINGS = 64


class Serving:
    """Routes, deadlines, threads and the ledger, made once for a `ServerState`."""

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.table = RouteTable(state.info, state.instance, state.options, state.metrics)
        self.endpoints = Endpoints.of(state)
        self.peers = Peers(
            state.run_folder,
            state.generation,
            state.metrics.process,
            lambda: msgspec.json.encode(explanation.of_process(state)),
        )
        log = AccessLog(json=state.options.log_format == "json") if state.options.access_log else None
        self.ledger = Ledger(log)
        self.management = Management(self)
        self.protocols = protocols(self)
        for protocol in self.protocols:
            self.table.add(protocol.routes())
        self._trees = {tree: protocol for protocol in self.protocols for tree in protocol.trees}
        self.known_heads = KnownHeads()
        self.guard = Guard.of(state.options, state.metrics)
        """None: nobody is asked for a token."""
        if self.guard is not None:
            self.guard.on_change.append(self.known_heads.by_bytes.clear)  # each was let in once
        self.mounts = Mounts(state, self.guard)
        self.cors = Cors(state.options.cors_origins) if state.options.cors_origins else None
        self.bodies = Bodies(state.options.max_bodies_bytes)
        self.http2_door: Http2Door | None = None
        """Made for the first connection that needs it."""
        self.unmatched = state.metrics.request(UNMATCHED)
        self.deadlines = Deadlines()
        self.sweeper = Sweeper()
        self.threads = Threads()
        self._default_list: list[tuple[bytes, bytes]] | None = None
        self._openings: dict[tuple[int, str], bytes] = {}
        """Of answers with those default headers."""

    @classmethod
    def of(cls, state: ServerState) -> Serving:
        """The one of this state, made on first use."""
        if state.serving is None:
            state.serving = cls(state)
        return state.serving

    @cached_property
    def door(self) -> GrpcDoor:
        """Where HTTP/2 connections go; made in the loop that they are in."""
        from ..grpc.door import GrpcDoor
        from ..grpc.services import rpcs  # protobuf takes 0.1 s to import

        limit_bytes = max((endpoint.max_body_bytes for endpoint in self.endpoints.all), default=0)
        limit_bytes += MESSAGE_MARGIN_BYTES
        return GrpcDoor(self, rpcs(self), limit_bytes, asyncio.get_running_loop())

    def protocol_of(self, path: str) -> Protocol | None:
        """The protocol that has this path, by its first part."""
        return self._trees.get("/" + path[1:].partition("/")[0])

    @cached_property
    def by_url(self) -> dict[bytes, Route]:
        """Prediction routes by the exact bytes of what is asked for."""
        prefix = self.state.options.path_prefix.encode("ascii")
        by_path = self.table.by_path
        return {prefix + path: route for path, route in by_path.items()} if prefix else by_path

    def find(self, path: bytes) -> Route | None:
        """By a path with its prefix, that may be percent-encoded; the doors look into `by_url` first."""
        if not self.state.options.path_prefix:
            return self.table.find(path)
        return self.by_url.get(unquote_to_bytes(path))

    def opening(self, status: int, media_type: str, headers: list[tuple[bytes, bytes]]) -> bytes:
        """An answer up to the value of its `x-request-id`.

        Args:
            headers: `date` and `server`; the server makes a new list once a second.
        """
        if headers is not self._default_list:
            self._default_list = headers
            self._openings.clear()
        opening = self._openings.get((status, media_type))
        if opening is None:
            opening = b"%b%bx-request-id: " % (status_line(status, media_type), field_lines(headers))
            if len(self._openings) < _MAX_OPENINGS:  # media types may be the services' callers'
                self._openings[status, media_type] = opening
        return opening

    def refuse(
        self, error: Exception, client: str, seconds: float, *, method: str = "-", path: str = "-"
    ) -> tuple[Problem, str]:
        """Counts and logs what never became a request; the problem to answer and the id it was given.

        Args:
            path: for the log, where one of ours was asked for.
        """
        request_id = RequestContext().id
        report = problem(error, instance="", request_id=request_id)
        size = len(report.body)
        self.unmatched.begin()
        self.ledger.note(self.unmatched, (client, method, path, report.status, size, seconds, request_id, ""))
        return report, request_id

    async def open(self) -> None:
        """Once the loop runs."""
        forked.serves_here()
        self.ledger.open()
        await self.peers.open()
        if self.guard is not None:
            self.guard.follow(asyncio.get_running_loop())
        await self.mounts.open()

    def close(self) -> None:
        """Counts and logs the last answers; sync apis that still run are left alone."""
        self.peers.close()
        if self.guard is not None:
            self.guard.close()
        self.threads.close()
        self.ledger.close()
