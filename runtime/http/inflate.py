"""Request bodies sent with `Content-Encoding`."""

from __future__ import annotations

import zlib

from ...errors import MalformedInputError, PayloadTooLargeError, UnsupportedMediaTypeError
from ..schema.kind import Buffer

CODINGS = ("gzip", "deflate")
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
_RAW = -zlib.MAX_WBITS


def check_coding(coding: str) -> None:
    """Raises UnsupportedMediaTypeError for a coding (or a chain of them) that `inflate` cannot undo."""
    if coding not in (*CODINGS, "x-gzip", "identity"):
        raise UnsupportedMediaTypeError(
            f"content-encoding {coding[:80]!r} is not supported: send the body as it is, "
            "or as gzip or deflate"
        )


def inflate(coding: str, body: Buffer, limit_bytes: int) -> bytes:
    """The body as it was before it was compressed.

    Args:
        coding: lower case, checked by `check_coding`.
        limit_bytes: largest result; a bomb is not inflated beyond it.

    Raises:
        MalformedInputError: damaged or cut short.
        PayloadTooLargeError: more than `limit_bytes`.
    """
    if coding == "identity":
        return bytes(body)
    try:
        return _inflate(body, _ZLIB_OR_GZIP, limit_bytes)
    except zlib.error as error:
        if coding == "deflate":  # some clients send the raw stream without the zlib header
            try:
                return _inflate(body, _RAW, limit_bytes)
            except zlib.error:
                pass
        raise MalformedInputError(f"the body is not {coding}: {error}") from error


def _inflate(body: Buffer, wbits: int, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    room = limit_bytes
    rest: Buffer = body
    while True:  # a gzip file may have several members
        stream = zlib.decompressobj(wbits)
        part = stream.decompress(rest, room + 1)
        room -= len(part)
        if room < 0:
            raise PayloadTooLargeError(
                f"the body is larger than {limit_bytes} bytes after inflating, the limit of this route"
            )
        parts.append(part)
        if not stream.eof:
            raise MalformedInputError("the compressed body ends too early: was it cut on the way?")
        rest = stream.unused_data
        if not rest.strip(b"\0") or wbits == _RAW:
            return b"".join(parts)
