"""The gRPC server of one API process."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import grpc
from grpc import aio

from ...errors import ServerError
from ..http.serving import Serving
from .inference import MODEL_INFER, Inference

if TYPE_CHECKING:
    from ..http.state import ServerState

logger = logging.getLogger("tiffin.grpc")

_MESSAGE_MARGIN_BYTES = 64 * 1024
"""What a message may have besides its tensors."""
_INT32_MAX = 2**31 - 1


class GrpcServer:
    """Takes calls from `start` to `drain`.

    Args:
        state: its options name the addresses.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._serving = serving = Serving.of(state)
        self._started = False
        limit = max((endpoint.max_body_bytes for endpoint in serving.endpoints.all), default=0)
        self._server = aio.server(
            options=(
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", min(limit + _MESSAGE_MARGIN_BYTES, _INT32_MAX)),
                ("grpc.max_send_message_length", -1),
            )
        )
        inference = Inference(serving)
        self._server.add_generic_rpc_handlers(
            (Handlers({MODEL_INFER: grpc.unary_unary_rpc_method_handler(inference.model_infer)}),)
        )

    async def start(self) -> None:
        """Raises ServerError when it cannot listen."""
        addresses = self._state.options.grpc_addresses
        try:
            for address in addresses:
                self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ServerError(f"cannot listen for gRPC on {', '.join(addresses)}: {error}") from error
        await self._server.start()
        self._started = True

    async def drain(self, limit_s: float) -> None:
        """Takes no new call; those in hand may take `limit_s` seconds."""
        if self._started:
            await self._server.stop(limit_s)


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """All RPCs, by their path."""

    def __init__(self, by_path: Mapping[str, grpc.RpcMethodHandler]) -> None:
        self._find = by_path.get

    def service(self, details: Any) -> grpc.RpcMethodHandler | None:
        return self._find(details.method)
