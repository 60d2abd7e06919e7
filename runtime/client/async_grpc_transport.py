"""Calls over gRPC, in an event loop: `tiffin.v1.Service`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from .address import Address
from .api import MEDIA_TYPE
from .grpc_calls import channel_options, credentials, failure_of, grpc_module, metadata, not_ready
from .grpc_messages import CALL, HEALTH, SCHEMA, SERVING, STREAM, call_reply, call_request, schema_reply
from .options import CallOptions, Trust
from .outgoing import Outgoing
from .patience import remaining_s
from .transport import Reply


class AsyncGrpcTransport:
    """One channel in one event loop; see `AsyncTransport`."""

    def __init__(self, address: Address, trust: Trust) -> None:
        self._address = address
        self._credentials = credentials(trust) if address.tls else None
        self._grpc = grpc_module()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: Any = None
        self._methods: dict[str, Any] = {}

    async def call(self, outgoing: Outgoing) -> Reply:
        request = _request(outgoing)
        return call_reply(await self._unary(CALL, request, outgoing.options, remaining_s(outgoing.deadline)))

    async def schema(self, options: CallOptions, deadline: float) -> bytes:
        return schema_reply(await self._unary(SCHEMA, b"", options, remaining_s(deadline)))

    async def ready(self, options: CallOptions, deadline: float) -> None:
        if await self._unary(HEALTH, b"", options, remaining_s(deadline)) != SERVING:
            raise not_ready()

    async def stream(self, outgoing: Outgoing) -> AsyncIterator[Reply]:
        call = self._method(STREAM)(
            _request(outgoing), timeout=remaining_s(outgoing.deadline), metadata=metadata(outgoing.options)
        )
        try:
            async for message in call:
                yield call_reply(message)
        except self._grpc.RpcError as error:
            raise failure_of(error, self._address) from error
        finally:
            call.cancel()

    async def _unary(self, name: str, request: bytes, options: CallOptions, timeout_s: float) -> bytes:
        try:
            answer: bytes = await self._method(name)(request, timeout=timeout_s, metadata=metadata(options))
        except self._grpc.RpcError as error:
            raise failure_of(error, self._address) from error
        return answer

    def _method(self, name: str) -> Any:
        """Bytes in, bytes out; the channel is made on first use, and anew in another event loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._connect()
            self._loop = loop
        return self._methods[name]

    def _connect(self) -> None:
        address, options, aio = self._address.authority, channel_options(), self._grpc.aio
        if self._credentials is None:
            channel = aio.insecure_channel(address, options)
        else:
            channel = aio.secure_channel(address, self._credentials, options)
        self._methods = {name: channel.unary_unary(name) for name in (CALL, SCHEMA, HEALTH)}
        self._methods[STREAM] = channel.unary_stream(STREAM)
        self._channel = channel

    async def close(self) -> None:
        if self._channel is not None and self._loop is asyncio.get_running_loop():
            await self._channel.close()
        self._channel, self._loop, self._methods = None, None, {}


def _request(outgoing: Outgoing) -> bytes:
    api = outgoing.api
    return call_request(api.name, MEDIA_TYPE, outgoing.body, api.accept)
