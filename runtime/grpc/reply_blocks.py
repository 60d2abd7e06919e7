"""Header blocks of answers: their heads, their statuses, and the metadata in both."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..http2 import header_block
from .code import Code
from .message_reader import CODINGS

if TYPE_CHECKING:
    from .status import CallEndedError, Metadata

_HEAD = (
    (b":status", b"200"),
    (b"content-type", b"application/grpc"),
    (b"grpc-accept-encoding", b"identity,deflate,gzip"),
)
_CODED = {b"": _HEAD, **{coding: (*_HEAD, (b"grpc-encoding", coding)) for coding in CODINGS}}
HEADS = {coding: header_block.write(fields) for coding, fields in _CODED.items()}
"""Of answers without metadata, by how their messages are compressed."""
OK = header_block.write(((b"grpc-status", b"%d" % Code.OK),))
"""The end of a call that went well, where no metadata follow."""
_UNESCAPED = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def head_with(metadata: Metadata, coding: bytes) -> bytes:
    """The head of an answer that begins with metadata."""
    return header_block.write((*_CODED[coding], *_fields(metadata)))


def end_with(metadata: Metadata) -> bytes:
    """The end of a call that went well."""
    return OK + header_block.write(_fields(metadata)) if metadata else OK


def failure(error: CallEndedError, *, begun: bool) -> bytes:
    """The end of a call that failed.

    Args:
        begun: the head of the answer has been sent; else it is part of this.
    """
    fields = [(b"grpc-status", b"%d" % error.code)]
    if error.details:
        fields.append((b"grpc-message", quote(error.details, _UNESCAPED).encode("ascii")))
    fields += _fields(error.metadata)
    return header_block.write(fields if begun else (*_HEAD, *fields))


def _fields(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    return [
        (
            name.encode("ascii"),
            base64.b64encode(value).rstrip(b"=") if isinstance(value, bytes) else value.encode("ascii"),
        )
        for name, value in metadata
    ]
