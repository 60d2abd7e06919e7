"""Framing of streams: server-sent events (WHATWG HTML, section 9.2) for JSON items.

A stream is `data: <item>` per item and ends with `event: end`, or with `event: error` and the problem
document. A stream without either was cut off; a browser's EventSource would otherwise reconnect and call
again.
"""

from __future__ import annotations

MEDIA_TYPE = "text/event-stream"


def item(data: bytes | memoryview) -> bytes:
    """`data`: JSON; JSON has no raw line breaks unless it is pretty-printed, and then each line gets its own
    field."""
    data = bytes(data)
    if b"\n" in data or b"\r" in data:
        return b"".join(b"data: %b\n" % line for line in data.splitlines()) + b"\n"
    return b"data: %b\n\n" % data


def end() -> bytes:
    return b"event: end\ndata: {}\n\n"


def error(document: bytes) -> bytes:
    """`document`: problem+json on one line."""
    return b"event: error\ndata: %b\n\n" % document
