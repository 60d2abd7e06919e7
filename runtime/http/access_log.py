"""One line a request on stderr, written so that a slow terminal never slows an answer."""

from __future__ import annotations

import asyncio
import atexit
import sys
import time
from collections.abc import Callable
from contextvars import Context
from datetime import datetime, timezone
from functools import lru_cache

import msgspec

from ..log_stream import PORTION_BYTES, LogStream

_FLUSH_S = 0.1
_ROWS = 32
"""So many lines fill a portion, as a rule."""


Row = tuple[str, str, str, int, int, float, str, str]
"""Client, method, path, status, bytes of the answer's body, seconds from the last byte of the request to the
answer, request id, trace id (of the caller's `traceparent`, or empty)."""


class AccessLog:
    """Gathers lines and writes them in portions: when one is full, at the latest after 100 ms, and at exit.

    All of it happens in the event loop's thread. A thread of its own costs several times what it saves: it
    and the loop hand the interpreter to each other at every system call. A row is only kept when its answer
    leaves; lines are made of several dozen rows in one go, for then the code that does it is in the
    processor's caches, where between two requests it would have to be fetched each time.

    Args:
        json: one object a line, else text.
        descriptor: file descriptor to write to; stderr when None.
        clock: Unix seconds.
    """

    def __init__(
        self, *, json: bool, descriptor: int | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.json = json
        """Whether lines are objects; may change while it is written."""
        self._clock = clock
        self._stream = LogStream(sys.stderr.fileno() if descriptor is None else descriptor, self._dropped)
        self._rows: list[tuple[float, Row]] = []
        """What waits, with the time of its answer."""
        self._timer: asyncio.TimerHandle | None = None
        self._no_request = Context()  # the timer must not keep the context of the request that set it
        atexit.register(self.close)

    def write(self, row: Row) -> None:
        """Adds the line of an answer that was just written; in the event loop."""
        rows = self._rows
        rows.append((self._clock(), row))
        if len(rows) >= _ROWS:
            self._flush()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_FLUSH_S, self._due, context=self._no_request)

    def close(self) -> None:
        """Writes what waits."""
        atexit.unregister(self.close)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flush()

    def _dropped(self, lines: int) -> str:
        return (_dropped_json if self.json else _dropped_text)(lines)

    def _due(self) -> None:
        self._timer = None
        self._flush()

    def _flush(self) -> None:
        """Writes what waits, in portions of whole lines."""
        rows, self._rows = self._rows, []  # one whose line cannot be made must not come again
        lines = (_json if self.json else _text)(rows)
        for start in range(0, len(lines), _ROWS):
            portion = lines[start : start + _ROWS]
            joined = b"".join(portion)
            if len(joined) <= PORTION_BYTES:
                self._stream.write(joined, lines=len(portion))
            else:
                self._write_long(portion)

    def _write_long(self, lines: list[bytes]) -> None:
        portion: list[bytes] = []
        size = 0
        for line in lines:
            if size + len(line) > PORTION_BYTES and portion:
                self._stream.write(b"".join(portion), lines=len(portion))
                portion.clear()
                size = 0
            portion.append(line)
            size += len(line)
        self._stream.write(b"".join(portion), lines=len(portion))


def _dropped_text(lines: int) -> str:
    return f"{_stamp(time.time())} {lines} access log lines dropped: stderr is too slow\n"


def _dropped_json(lines: int) -> str:
    reason = f"{lines} access log lines dropped: stderr is too slow"
    line = {"ts": _stamp(time.time()), "level": "warning", "logger": "tiffin.access", "msg": reason}
    return _encode(line).decode() + "\n"


def _stamp(at: float) -> str:
    """UTC, ISO 8601 with milliseconds."""
    return f"{_second(int(at))}.{int(at % 1 * 1000):03d}Z"


@lru_cache(maxsize=2)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def _text(rows: list[tuple[float, Row]]) -> list[bytes]:
    lines = []
    last, stamp = -1, ""
    for at, (client, method, path, status, size_bytes, seconds, request_id, trace_id) in rows:
        millisecond = int(at * 1000)
        if millisecond != last:  # under load a dozen lines share one
            last, stamp = millisecond, _stamp(at)
        end = f" trace={trace_id}\n" if trace_id else "\n"
        lines.append(
            f"{stamp} {client} {method} {_printable(path)} {status} {size_bytes}B {seconds * 1000:.2f}ms "
            f"id={request_id}{end}".encode()
        )
    return lines


_encode = msgspec.json.Encoder().encode


def _json(rows: list[tuple[float, Row]]) -> list[bytes]:
    lines = []
    for at, (client, method, path, status, size_bytes, seconds, request_id, trace_id) in rows:
        document = {
            "ts": _stamp(at),
            "level": "info",
            "logger": "tiffin.access",
            "client": client,
            "method": method,
            "path": path,
            "status": status,
            "bytes": size_bytes,
            "ms": round(seconds * 1000, 3),
            "request_id": request_id,
        }
        if trace_id:
            document["trace_id"] = trace_id
        lines.append(_encode(document) + b"\n")
    return lines


@lru_cache(maxsize=256)
def _printable(path: str) -> str:
    """A path is the caller's text: no line breaks, escape codes of a terminal or further fields get into the
    log."""
    if path.isascii() and path.isprintable() and " " not in path:
        return path
    return "".join(char if char.isprintable() and char != " " else f"\\x{ord(char):02x}" for char in path)
