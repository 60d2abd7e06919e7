"""Large bytes in and out of messages without a copy: the few rules of protobuf's encoding that this needs.

A message is a row of fields, each a key (number << 3 | type, as a varint) and a value. Bytes have type 2: a
length (varint), then the content. Fields of a message may be cut out or appended anywhere between two others.
"""

from __future__ import annotations

from ...errors import MalformedInputError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIELDS_LIMIT = 4096
"""They are read here one by one: a message that has more keeps everybody waiting."""

Span = tuple[int, int]
"""First byte, and the one behind the last."""


def cut_out(message: bytes, number: int) -> tuple[bytes, list[Span]]:
    """The rest of a message, and where the contents of its fields `number`, of type bytes, are.

    Raises:
        MalformedInputError: it is no message, or has more than 4,096 fields.
    """
    wanted = number << 3 | _BYTES
    rest: list[bytes] = []
    found: list[Span] = []
    at, kept, size = 0, 0, len(message)
    try:
        for _ in range(_FIELDS_LIMIT):
            if at == size:
                rest.append(message[kept:])
                return b"".join(rest), found
            begin = at
            key, at = _varint(message, at)
            kind = key & 7
            if kind == _BYTES:
                length, at = _varint(message, at)
                at += length
                if at > size:
                    break
                if key == wanted:
                    rest.append(message[kept:begin])
                    found.append((at - length, at))
                    kept = at
            elif kind == _VARINT:
                _, at = _varint(message, at)
            elif kind in (_FIXED64, _FIXED32):
                at += 8 if kind == _FIXED64 else 4
                if at > size:
                    break
            else:
                break
    except IndexError:  # it ends in the middle of a number
        pass
    raise MalformedInputError("the message is cut short, no protobuf, or has more than 4,096 fields")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte, at
    value, shift = byte & 0x7F, 7
    while byte >= 0x80 and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return value, at


def key(number: int, length: int) -> bytes:
    """What stands before `length` bytes of field `number`."""
    parts = bytearray()
    for value in (number << 3 | _BYTES, length):
        while value > 0x7F:
            parts.append(value & 0x7F | 0x80)
            value >>= 7  # noqa: PLW2901
        parts.append(value)
    return bytes(parts)
