"""What a service of gRPC sees of the connection that a call came on, and the four kinds of calls.

Each kind has a `scope`: what the caller's token must be good for, empty where all may call. It is looked at
when the head of a call has come, before anything of its messages is taken.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, Union

from .status import Metadata

if TYPE_CHECKING:
    from ..http.head import RawHeaders
    from ..http2.stream import Receiver, Stream
    from .call_head import CallHead
    from .door import GrpcDoor


class Context(Protocol):
    """One call; whatever carries it implements this."""

    @property
    def headers(self) -> RawHeaders:
        """The caller's metadata: names in lower case, values of `-bin` names decoded. Without what says how
        messages travel."""

    @property
    def client(self) -> str:
        """`127.0.0.1:40001`, for the log."""

    def left_s(self) -> float | None:
        """Seconds until the caller's deadline; None: it has none."""

    def compress(self) -> None:
        """Compresses messages from now on, when the caller has asked for that."""

    async def begin(self, metadata: Metadata) -> None:
        """Sends metadata ahead of the first message; once, and only where there are some."""

    async def write(self, message: bytes) -> None:
        """Sends one message of a stream, and waits until the caller keeps up."""

    def trail(self, metadata: Metadata) -> None:
        """Goes with the status of a call that ends well."""


class Unary(NamedTuple):
    """One message in, one out. Cancelled, as all of these, when the caller is gone or the deadline over."""

    serve: Callable[[bytes, Context], Awaitable[bytes]]
    scope: str


class ServerStream(NamedTuple):
    """One message in, any number out, by `Context.write`."""

    serve: Callable[[bytes, Context], Awaitable[None]]
    scope: str


class BothStreams(NamedTuple):
    """Any number in and out."""

    serve: Callable[[AsyncIterator[bytes], Context], Awaitable[None]]
    scope: str


class Direct(NamedTuple):
    """One message in, one out, by an object that is itself what the stream's bytes are given to."""

    open: Callable[[GrpcDoor, Stream, CallHead], Receiver]
    scope: str


Rpc = Union[Unary, ServerStream, BothStreams, Direct]  # noqa: UP007 - 3.10
