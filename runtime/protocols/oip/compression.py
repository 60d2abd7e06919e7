"""Answers in gzip or deflate, for callers that want it."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import NamedTuple

from ...http.dialect import Written
from ...schema.media import JSON

_SMALL_BYTES = 1024
_LEVEL = 1
"""Tensors hardly compress: more effort would only take longer."""
_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class Coding(NamedTuple):
    name: str
    """`gzip` or `deflate`."""
    explicit: bool
    """The caller names this coding alone. HTTP libraries list all that they can undo, wanted or not: for them
    small answers and binary tensors stay as they are."""


@lru_cache(maxsize=64)
def wanted_coding(accept_encoding: bytes) -> Coding | None:
    """By an `Accept-Encoding` header (RFC 9110, 12.5.3); None: as it is."""
    qualities: dict[str, float] = {}
    for item in accept_encoding.decode("latin-1").lower().split(","):
        name, _, parameter = item.partition(";")
        quality = parameter.strip().removeprefix("q=")
        try:
            qualities[name.strip()] = float(quality) if parameter else 1.0
        except ValueError:
            qualities[name.strip()] = 0.0
    known = [name for name in _WINDOW if qualities.get(name, 0.0) > 0]
    if not known:
        return None
    best = max(known, key=lambda name: qualities[name])
    return Coding(best, explicit=len(qualities) == 1)


def compressed(written: Written, coding: Coding) -> Written:
    """The same answer, compressed where that is wanted and worth it; lengths in its headers mean what is
    inside."""
    if not coding.explicit and (len(written.body) < _SMALL_BYTES or written.media_type != JSON):
        return written
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[coding.name])
    body = stream.compress(written.body) + stream.flush()
    fields = ((b"content-encoding", coding.name.encode("ascii")), (b"vary", b"accept-encoding"))
    return Written(written.media_type, body, written.headers + fields)
