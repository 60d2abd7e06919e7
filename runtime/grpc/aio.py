"""Calls as grpc.aio carries them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import unquote

import grpc

from ..http.head import RawHeaders
from .context import BothStreams, CallEndedError, Rpc, ServerStream, Unary

_COMPRESSIONS = {b"gzip": grpc.Compression.Gzip, b"deflate": grpc.Compression.Deflate}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_OF_THE_TRANSPORT = frozenset(
    {"accept", "content-encoding", "content-length", "content-type", "expect", "transfer-encoding"}
)
"""Fields of HTTP that say how a body travels: gRPC has its own ways for that."""


class AioContext:
    """A call. See `Context`."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.headers: RawHeaders = [
            (name.encode("ascii"), value.encode("utf-8") if isinstance(value, str) else value)
            for name, value in context.invocation_metadata() or ()
            if name not in _OF_THE_TRANSPORT
        ]
        self.left_s = context.time_remaining
        self.begin = context.send_initial_metadata
        self.write = context.write
        self.trail = context.set_trailing_metadata

    @property
    def client(self) -> str:
        kind, _, address = str(self._context.peer()).partition(":")
        return unquote(address) if kind in ("ipv4", "ipv6") else kind

    def compress(self) -> None:
        """By `accept-encoding: gzip`: how the request was compressed grpc.aio tells nobody."""
        wanted = dict(self.headers).get(b"accept-encoding", b"").partition(b",")[0].strip()
        if wanted in _COMPRESSIONS:
            self._context.set_compression(_COMPRESSIONS[wanted])


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """RPCs by their path; messages stay bytes."""

    def __init__(self, rpcs: Mapping[str, Rpc]) -> None:
        self._find = {path: _handler(rpc) for path, rpc in rpcs.items()}.get

    def service(self, details: Any) -> grpc.RpcMethodHandler | None:
        return self._find(details.method)


def _handler(rpc: Rpc) -> grpc.RpcMethodHandler:
    if isinstance(rpc, Unary):
        return grpc.unary_unary_rpc_method_handler(_unary(rpc))
    if isinstance(rpc, ServerStream):
        return grpc.unary_stream_rpc_method_handler(_server_stream(rpc))
    return grpc.stream_stream_rpc_method_handler(_both_streams(rpc))


def _unary(rpc: Unary) -> Any:
    serve = rpc.serve

    async def handle(data: bytes, context: Any) -> bytes:
        try:
            return await serve(data, AioContext(context))
        except CallEndedError as error:
            await _end(context, error)
            raise

    return handle


def _server_stream(rpc: ServerStream) -> Any:
    async def handle(data: bytes, context: Any) -> None:
        try:
            await rpc.serve(data, AioContext(context))
        except CallEndedError as error:
            await _end(context, error)

    return handle


def _both_streams(rpc: BothStreams) -> Any:
    async def handle(requests: AsyncIterator[bytes], context: Any) -> None:
        try:
            await rpc.serve(requests, AioContext(context))
        except CallEndedError as error:
            await _end(context, error)

    return handle


async def _end(context: Any, error: CallEndedError) -> None:
    """Raises, as grpc.aio wants it."""
    await context.abort(_CODES[error.code], error.details, error.metadata)
