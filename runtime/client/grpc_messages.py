"""The three messages of `tiffin.v1.Service`, in protobuf's encoding: five fields do not need a library.

A field is a key (number << 3 | 2, for text and bytes), a length as a varint, and the content.
"""

from __future__ import annotations

from ...errors import ConnectionFailedError
from ..schema.kind import Buffer
from .transport import Reply

CALL = "/tiffin.v1.Service/Call"
STREAM = "/tiffin.v1.Service/Stream"
SCHEMA = "/tiffin.v1.Service/Schema"
HEALTH = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"
"""HealthCheckResponse{status: SERVING}"""

_BYTES = 2


def call_request(api: str, media_type: str, body: list[Buffer], accept: str) -> bytes:
    """`CallRequest{api = 1, media_type = 2, body = 3, accept = 4}`"""
    texts = _field(1, api.encode()) + _field(2, media_type.encode()) + _field(4, accept.encode())
    return b"".join((texts, b"\x1a", _varint(sum(map(len, body))), *body))


def call_reply(message: bytes) -> Reply:
    """`CallReply{media_type = 1, body = 2}`"""
    fields = _fields(message)
    return Reply(fields.get(1, b"").decode("utf-8", "replace"), fields.get(2, b""))


def schema_reply(message: bytes) -> bytes:
    """`SchemaReply{openapi = 1}`"""
    return _fields(message).get(1, b"")


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | _BYTES,)) + _varint(len(content)) + content if content else b""


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _fields(message: bytes) -> dict[int, bytes]:
    """Number to content of the fields that hold text or bytes."""
    found: dict[int, bytes] = {}
    at = 0
    try:
        while at < len(message):
            key, at = _number(message, at)
            size, at = _number(message, at)
            if key & 7 == _BYTES:  # else a number of a later version: passed over
                found[key >> 3] = message[at : at + size]
                at += size
        complete = at == len(message)
    except IndexError:
        complete = False
    if not complete:
        raise ConnectionFailedError("the server's gRPC message is malformed", sent=True)
    return found


def _number(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
