"""`tiffin.AsyncClient`: the same as `tiffin.Client`, in an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import ConnectionFailedError, OverloadedError, TiffinError
from .address import Address
from .api import Api, apis_of
from .directory import method_of, unknown_api
from .options import Trust
from .outgoing import QUESTION_S, Outgoing
from .patience import Patience, remaining_s
from .server_client import ServerClient
from .transport import AsyncTransport, Reply

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class AsyncClient(ServerClient):
    """Calls a server from an event loop; its methods are the server's apis.

        async with tiffin.AsyncClient("http://127.0.0.1:3000") as client:
            await client.classify(flowers)
            async for price in client.watch(rounds=3): ...

    Everything else is as in `tiffin.Client`. `async with`, or `await client.connect()`, asks the server for
    its schema, so that names, signatures and docstrings are there; without it the first call does.
    """

    _shared: _Shared

    def _open(self, address: Address, trust: Trust, most: int) -> _Shared:
        if address.grpc:
            from .async_grpc_transport import AsyncGrpcTransport

            return _Shared(AsyncGrpcTransport(address, trust))
        from .async_http_transport import AsyncHttpTransport

        return _Shared(AsyncHttpTransport(address, trust.context() if address.tls else None, most))

    async def connect(self) -> Self:
        """Asks for the schema, once."""
        await self._apis()
        return self

    def call(self, api: str, /, *args: Any, **kwargs: Any) -> Any:
        """The api of that name: to be awaited, or for a stream iterated over; see `Client.call`."""
        apis = self._shared.apis
        if apis is None:
            return Pending(self, api, args, kwargs)
        if api not in apis:
            raise unknown_api(api, apis, self._address)
        return self._call(apis[api], args, kwargs)

    async def schema(self) -> dict[str, Any]:
        """The server's OpenAPI document."""
        deadline = time.monotonic() + (self._options.timeout_s or QUESTION_S)
        text = await self._trying(lambda: self._shared.transport.schema(self._options, deadline), deadline)
        document: dict[str, Any] = msgspec.json.decode(text)
        return document

    async def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Comes back when the server takes calls; see `Client.wait_ready`."""
        deadline = time.monotonic() + timeout_s
        pause_s = 0.02
        while True:
            try:
                return await self._shared.transport.ready(self._options, deadline)
            except (ConnectionFailedError, OverloadedError):
                if time.monotonic() + pause_s >= deadline:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    async def close(self) -> None:
        """Closes the connections; a later call opens new ones."""
        await self._shared.transport.close()

    async def __aenter__(self) -> Self:
        try:
            return await self.connect()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        apis = self._shared.apis
        if apis is None:  # not connected yet: whether it exists is seen when it is called
            return lambda *args, **kwargs: Pending(self, name, args, kwargs)
        if name not in apis:
            raise unknown_api(name, apis, self._address)
        return method_of(apis[name], self._call)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(self._shared.apis or {})})

    async def _apis(self) -> dict[str, Api]:
        if self._shared.apis is None:
            self._shared.apis = apis_of(await self.schema())
        return self._shared.apis

    def _call(self, api: Api, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outgoing = Outgoing.of(api, args, kwargs, self._options)
        return self._stream(outgoing) if api.stream else self._answer(outgoing)

    async def _answer(self, outgoing: Outgoing) -> Any:
        transport = self._shared.transport
        try:
            reply = await transport.call(outgoing)
        except TiffinError as error:
            reply = await self._again(error, lambda: transport.call(outgoing), outgoing.deadline)
        return outgoing.api.result(reply.media_type, reply.body)

    async def _stream(self, outgoing: Outgoing) -> AsyncIterator[Any]:
        """Tries again until the first item; what has begun is not repeated."""

        async def begin() -> tuple[AsyncIterator[Reply], Reply | None]:
            replies = self._shared.transport.stream(outgoing)
            return replies, await anext_or_none(replies)

        replies, first = await self._trying(begin, outgoing.deadline)
        try:
            while first is not None:
                yield outgoing.api.result(first.media_type, first.body)
                first = await anext_or_none(replies)
        finally:
            close = getattr(replies, "aclose", None)
            if close is not None:
                await close()

    async def _trying(self, attempt: Callable[[], Awaitable[Any]], deadline: float) -> Any:
        try:
            return await attempt()
        except TiffinError as error:
            return await self._again(error, attempt, deadline)

    async def _again(self, error: TiffinError, attempt: Callable[[], Awaitable[Any]], deadline: float) -> Any:
        patience = Patience(self._options, deadline)
        while True:
            await asyncio.sleep(patience.pause_s(error))
            remaining_s(deadline)
            try:
                return await attempt()
            except TiffinError as another:
                error = another


class Pending:
    """A call of a client that has no schema yet: `await` it, or iterate when the api streams."""

    def __init__(self, client: AsyncClient, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._client = client
        self._of = name, args, kwargs

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        name, args, kwargs = self._of
        await self._client.connect()
        called = self._client.call(name, *args, **kwargs)
        if hasattr(called, "__aiter__"):
            raise TypeError(f"{name} streams: write `async for item in client.{name}(…)`")
        return await called

    async def __aiter__(self) -> AsyncIterator[Any]:
        name, args, kwargs = self._of
        await self._client.connect()
        called = self._client.call(name, *args, **kwargs)
        if not hasattr(called, "__aiter__"):
            called.close()
            raise TypeError(f"{name} does not stream: write `await client.{name}(…)`")
        async for item in called:
            yield item


class _Shared:
    """What a client and those made of it by `with_options` have together."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.transport = transport
        self.apis: dict[str, Api] | None = None


async def anext_or_none(replies: AsyncIterator[Reply]) -> Reply | None:
    try:
        return await replies.__anext__()
    except StopAsyncIteration:
        return None
