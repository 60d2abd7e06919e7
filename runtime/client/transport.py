"""What carries calls: HTTP or gRPC, blocking or in an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple, Protocol

from .options import CallOptions
from .outgoing import Outgoing


class Reply(NamedTuple):
    """An answer, or an item of a stream."""

    media_type: str
    body: bytes | bytearray


class Transport(Protocol):
    """Blocking. Every method raises errors of our tree; none tries again."""

    def call(self, outgoing: Outgoing) -> Reply: ...
    def stream(self, outgoing: Outgoing) -> Iterator[Reply]:
        """Items as they come; raises when the stream begins, at the first item, or between items."""
        ...

    def schema(self, options: CallOptions, deadline: float) -> bytes:
        """The OpenAPI document as JSON."""
        ...

    def ready(self, options: CallOptions, deadline: float) -> None:
        """Comes back when the server is ready; else raises OverloadedError or ConnectionFailedError."""
        ...

    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """The same in an event loop."""

    async def call(self, outgoing: Outgoing) -> Reply: ...
    def stream(self, outgoing: Outgoing) -> AsyncIterator[Reply]: ...
    async def schema(self, options: CallOptions, deadline: float) -> bytes: ...
    async def ready(self, options: CallOptions, deadline: float) -> None: ...
    async def close(self) -> None: ...
