"""The heads of frames."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ...errors import WireError

PROTOCOL = 1
"""Raised when frames or heads change so that an older side would misread them."""


class _Head(msgspec.Struct, array_like=True, frozen=True, gc=False):
    pass


class Hello(_Head, array_like=True, frozen=True, gc=False):
    protocol: int
    peer: str
    """For logs: `api 4711`, `forest worker 4712`."""
    shares: bool = False
    """From a worker: it holds the shared memory that came with our hello, so frames may lie there."""


class Call(_Head, array_like=True, frozen=True, gc=False):
    method: str
    counts: list[int]
    """Rows of each request, in order; an empty list for a method that takes no batches."""
    remaining_s: list[float]
    """Seconds until each request's deadline; empty when none has one."""
    args: bytes
    """Positional arguments as `values.pack` gives them."""
    kwargs: bytes
    """Keyword arguments, the same; empty for none. Their buffers are numbered after those of `args`."""
    weight: int = 0
    """Of all rows, in the unit of the method's `max_cost`; 0 when it has none."""


class Result(_Head, array_like=True, frozen=True, gc=False):
    value: bytes
    """As `values.pack` gives it."""
    model_s: float
    """Seconds that the method ran, for all that ran with it."""
    dropped: list[int]
    """Requests that were cancelled or too late before the batch started; they have no rows in `value`."""


class Failure(_Head, array_like=True, frozen=True, gc=False):
    """What a method raised; enough to raise the like on the other side, never the object itself."""

    type: str
    """Class name, `ValueError`; a subclass of ServingError keeps its own."""
    message: str
    traceback: str
    status: int = 500
    title: str = ""
    path: str = ""
    retry_after_s: float = 0.0
    model_s: float = 0.0
    dropped: list[int] = []


class Cancel(_Head, array_like=True, frozen=True, gc=False):
    requests: list[int]
    """Positions in the batch."""


H = TypeVar("H", bound=_Head)

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type[_Head], Any] = {
    kind: msgspec.msgpack.Decoder(kind) for kind in (Hello, Call, Result, Failure, Cancel)
}


def dump(head: msgspec.Struct) -> bytes:
    return _encoder.encode(head)


def load(kind: type[H], data: bytes | memoryview) -> H:
    """Reads a head.

    Raises:
        WireError: it is not of that kind.
    """
    try:
        head: H = _decoders[kind].decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"malformed head of a {kind.__name__} frame: {error}") from error
    return head
