"""What is said before frames begin, and beside them.

A message is a u32 little-endian length and a msgpack map tagged with its kind.

    worker container                       API process
    Challenge (nonce)            →
                                 ←         Knock (nonce, what it wants, proof over all of that)
    Welcome (proof) or Refused   →

After a Knock that names a worker the connection is that worker's: frames follow. After one that names none it
is for the roster: `Roster` whenever it changes, `Ping` answered by `Pong`, and `Stuck`.
"""

from __future__ import annotations

import struct
from typing import Union

import msgspec

from ...errors import WireError

PROTOCOL = 1
"""Raised when a side that knows only the one before would misunderstand."""
LENGTH = struct.Struct("<I")
KNOCK_BYTES = 1024
"""Longest message of somebody who has not proved anything."""
ROSTER_BYTES = 1024 * 1024
"""Longest message afterwards."""


class Challenge(msgspec.Struct, kw_only=True, tag=True):
    protocol: int
    frames: int
    """Version of the frames."""
    version: str
    """Of tiffin."""
    nonce: bytes


class Knock(msgspec.Struct, kw_only=True, tag=True):
    protocol: int
    frames: int
    version: str
    peer: str
    """For logs: `api-0 of web-7f9c`."""
    nonce: bytes
    worker: str = ""
    """Id of the worker whose connection this is to be; empty: for the roster."""
    instance: str = ""
    """Whose worker that is."""
    proof: bytes = b""


class Welcome(msgspec.Struct, kw_only=True, tag=True):
    instance: str
    """Names one start of one worker container, so that it is known again at another address."""
    proof: bytes = b""


class Refused(msgspec.Struct, kw_only=True, tag=True):
    why: str
    """For a person on the other side."""


class Terms(msgspec.Struct, kw_only=True):
    """What a runner is, as far as the other side must know."""

    methods: str
    """Digest over names, inputs and outputs of its methods, and its models' class names."""
    models: str
    """Digest over its models' content."""
    shown: str
    """For a person: `iris:6f3k2q…`, or the class."""


class Posted(msgspec.Struct, kw_only=True):
    id: str
    runner: str


class Roster(msgspec.Struct, kw_only=True, tag=True):
    """Every worker that is warm now."""

    title: str
    """`iris:6f3k2q…`"""
    bundle: str
    """Digest of the bundle; empty when none is served."""
    version: str
    terms: dict[str, Terms]
    """Of every runner that is run there."""
    workers: list[Posted]
    gone: list[str] = []
    """Ids of those whose processes have ended since the last one. Their connections may not tell: what user
    code has forked there may hold them open."""
    leaving: bool = False
    """It takes nothing new: batches in hand are finished, and nothing else comes on this connection."""


class Ping(msgspec.Struct, kw_only=True, tag=True):
    pass


class Pong(msgspec.Struct, kw_only=True, tag=True):
    pass


class Stuck(msgspec.Struct, kw_only=True, tag=True):
    """This worker holds a batch far past its deadline; replace it."""

    worker: str
    reason: str


Message = Union[Challenge, Knock, Welcome, Refused, Roster, Ping, Pong, Stuck]  # noqa: UP007 - 3.10

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def printable(text: str, limit: int) -> str:
    """What the other side says, for a log: nobody may write lines of his own there."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:limit])


def decode(body: bytes | bytearray | memoryview) -> Message:
    """
    Raises:
        WireError: it is no message.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a message of a tiffin container: {error}") from error
