"""The body of a call → messages: each has a flag and a length before it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from ...errors import MalformedInputError, PayloadTooLargeError, RequestError

PREFIX = struct.Struct(">BL")
"""Whether it is compressed; bytes."""
_LARGE_BYTES = 64 * 1024
_WINDOW_BITS = {b"gzip": 31, b"deflate": 15}
CODINGS = tuple(_WINDOW_BITS)


Packed = tuple[int, bytes]
"""A message: 1 when it is compressed, and its bytes. A small one may be a hundred megabytes when it is
unpacked, so that is done one at a time."""


class UnsupportedCodingError(RequestError):
    status = 501
    title = "Unsupported message encoding"


class MessageReader:
    """Cuts what arrives into messages.

    Args:
        limit_bytes: of one message, unpacked.
        coding: of compressed messages, `grpc-encoding`.
    """

    __slots__ = ("_coding", "_have", "_limit_bytes", "_parts", "_wanted")

    def __init__(self, limit_bytes: int, coding: bytes) -> None:
        self._limit_bytes = limit_bytes
        self._coding = coding
        self._parts: list[bytes | memoryview] = []
        self._have = 0
        self._wanted = PREFIX.size

    @property
    def inside(self) -> bool:
        """The end of a message is still to come."""
        return self._have > 0

    @property
    def held_bytes(self) -> int:
        """Of that message, so far."""
        return self._have

    def feed(self, piece: bytes | memoryview) -> Iterator[Packed]:
        """The messages that are complete by now, as they came: see `unpacked`.

        Raises:
            PayloadTooLargeError: a message says that it is above the limit.
            MalformedInputError: a prefix that is none.
        """
        self._parts.append(piece)
        self._have += len(piece)
        if self._have < self._wanted:
            return
        if self._have == self._wanted > _LARGE_BYTES:
            yield self._large()
            return
        data = b"".join(self._parts) if len(self._parts) > 1 else piece
        at, size = 0, len(data)
        while size - at >= PREFIX.size:
            flag, length = PREFIX.unpack_from(data, at)
            if length > self._limit_bytes:
                raise PayloadTooLargeError(f"a message of {length} bytes, the limit is {self._limit_bytes}")
            if flag > 1:
                raise MalformedInputError(f"a message begins with {flag}: 0 is plain, 1 is compressed")
            end = at + PREFIX.size + length
            if end > size:
                break
            message = bytes(data[at + PREFIX.size : end])
            at = end
            yield flag, message
        rest = data[at:]
        self._have = len(rest)
        self._parts = [rest] if self._have else []
        self._wanted = PREFIX.size
        if self._have >= PREFIX.size:
            self._wanted += PREFIX.unpack_from(rest)[1]

    def _large(self) -> Packed:
        """The one message that is there; its bytes are copied once."""
        parts, self._parts = self._parts, []
        self._have, self._wanted = 0, PREFIX.size
        first = memoryview(parts[0])
        if len(first) < PREFIX.size:
            first = memoryview(b"".join(parts))
            parts = [b""]
        message = b"".join((first[PREFIX.size :], *parts[1:]))
        return first[0], message

    def unpacked(self, packed: Packed) -> bytes:
        """
        Raises:
            PayloadTooLargeError: it is above the limit.
            MalformedInputError: it is not compressed as it says.
            UnsupportedCodingError: it is compressed in a way that we do not know.
        """
        flag, message = packed
        if not flag:
            return message
        bits = _WINDOW_BITS.get(self._coding)
        if bits is None:
            if self._coding in (b"", b"identity"):
                raise MalformedInputError("a compressed message without grpc-encoding")
            name = self._coding[:40].decode("latin-1")
            raise UnsupportedCodingError(f"grpc-encoding {name!r} is not known: use gzip or deflate")
        unpacker = zlib.decompressobj(bits)
        try:
            data = unpacker.decompress(message, self._limit_bytes + 1)
        except zlib.error as error:
            raise MalformedInputError(f"the message is not {self._coding.decode()}: {error}") from error
        if len(data) > self._limit_bytes:
            raise PayloadTooLargeError(f"a message above {self._limit_bytes} bytes when it is unpacked")
        if not unpacker.eof or unpacker.unused_data:
            raise MalformedInputError(f"the message is not one whole {self._coding.decode()} stream")
        return data


def packed(message: bytes, coding: bytes = b"") -> bytes:
    """A message with its prefix, compressed where a coding is given: `gzip` or `deflate`."""
    if coding:
        packer = zlib.compressobj(wbits=_WINDOW_BITS[coding])
        message = packer.compress(message) + packer.flush()
        return PREFIX.pack(1, len(message)) + message
    return PREFIX.pack(0, len(message)) + message
