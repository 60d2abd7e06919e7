"""The service as its own typed gRPC service, beside the protocols that are the same for all services."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pb2

from ...auth.tokens import PREDICT
from ...http.dialect import Dialect
from ...http.head import Head, RawHeaders
from ...http.routes import Route
from ...protocols.endpoint import Endpoint
from ..call import Call
from ..context import BothStreams, ServerStream, Unary
from .pool import files_of
from .proto import TypedProto

if TYPE_CHECKING:
    from ...http.serving import Serving
    from ..context import Context, Rpc
    from .method import TypedMethod

logger = logging.getLogger("tiffin.grpc")


class TypedService:
    """Made for one API process; `rpcs` is served, `files` is what reflection tells of it.

    Args:
        serving: shared with all other doors of the process.
    """

    def __init__(self, serving: Serving) -> None:
        self._proto = TypedProto(serving.state.info)
        self._methods = {
            f"/{self.full_name}/{method.name}": TypedRpc(method, self.full_name, serving)
            for method in self._proto.methods.values()
        }
        for api, reason in self._proto.refused.items():
            logger.warning("%s has no typed gRPC method: %s", api, reason)

    @property
    def full_name(self) -> str:
        """`flower_shop.FlowerShop`"""
        return self._proto.full_name

    def files(self) -> list[descriptor_pb2.FileDescriptorProto]:
        """The service's file, behind those that it imports."""
        return files_of(self._proto.file)

    def rpcs(self) -> dict[str, Rpc]:
        """By path: `/flower_shop.FlowerShop/Classify`."""
        return {path: method.rpc() for path, method in self._methods.items()}


class TypedRpc:
    """One method, served.

    Args:
        method: what reads and writes its messages.
        service: full name.
        serving: as above.
    """

    def __init__(self, method: TypedMethod, service: str, serving: Serving) -> None:
        self._serving = serving
        self._method = method
        api, state = method.api, serving.state
        endpoint = Endpoint.of_api(f"{state.info.name}.{api.name}", api, state.instance, state.options)
        path = f"/{service}/{method.name}"
        self._route = route = Route.for_endpoint(endpoint, path, _DIALECT, state.metrics)
        route.decode_json = method.decode
        route.encoder = method

    def rpc(self) -> Rpc:
        if self._method.api.inputs.stream is not None:
            return BothStreams(self._both, PREDICT)
        if self._route.stream:
            return ServerStream(self._stream, PREDICT)
        return Unary(self._unary, PREDICT)

    async def _unary(self, request: bytes, context: Context) -> bytes:
        call = self._begin(context)
        return await call.predict(call.head(self._route), request)

    async def _stream(self, request: bytes, context: Context) -> None:
        call = self._begin(context)
        await call.stream(call.head(self._route), request)

    async def _both(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """The api begins with the first message, and asks for the others while it runs."""
        call = self._begin(context)
        first = await anext(requests, b"")
        head = call.head(self._route)
        head.decode = partial(self._method.begun, requests)
        if self._route.stream:
            await call.stream(head, first)
        else:
            await context.write(await call.predict(head, first))

    def _begin(self, context: Context) -> Call:
        call = Call(self._serving, context)
        context.compress()
        return call


class TypedHead(Head):
    """Messages have one form: no metadatum changes how they are read or written."""

    __slots__ = ()

    def _prepare(self) -> None:
        """The route's own decoder and encoder."""


class TypedDialect(Dialect):
    """Errors are those of HTTP; gRPC makes statuses of them."""

    def head(self, route: Route, method: bytes, raw_headers: RawHeaders, query: str) -> Head:
        return TypedHead(route, method, raw_headers, query)


_DIALECT = TypedDialect()
