"""The whole answer of a call that has one reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .message_reader import PREFIX, packed

if TYPE_CHECKING:
    from ..http2.stream import Stream

_LARGE_BYTES = 64 * 1024
"""A larger reply is not copied to stand behind its prefix."""


def send(stream: Stream, block: bytes, reply: bytes | memoryview, coding: bytes, last: bytes) -> None:
    """Writes it, as far as the peer has room.

    Args:
        block: header block of its head.
        coding: how the reply is compressed; empty: not at all.
        last: header block of its trailers.
    """
    if len(reply) <= _LARGE_BYTES or coding:
        stream.reply(block, packed(bytes(reply), coding), last)
        return
    stream.start(block)
    stream.send(PREFIX.pack(0, len(reply)))
    stream.send(reply)
    stream.finish(last)
