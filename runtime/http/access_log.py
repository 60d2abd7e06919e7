"""One line a request on stderr, written so that a slow terminal never slows an answer."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import deque
from datetime import datetime, timezone

import msgspec

LIMIT_LINES = 20_000
"""Lines that may wait to be written; beyond, lines are dropped and the number dropped is written."""
_FLUSH_S = 0.1
_SLICE = 64
"""Lines formatted before other threads get the interpreter: about 0.2 ms."""


Row = tuple[float, str, str, str, int, int, float, str, str]
"""When the answer was written (Unix seconds), client, method, path, status, bytes of the answer's body,
seconds from the last byte of the request to the answer, request id, trace id (of the caller's `traceparent`,
or empty)."""


class AccessLog:
    """Buffers lines and writes them from a daemon thread, at most every 100 ms and at exit.

    Args:
        json: one object a line, else text.
        descriptor: file descriptor to write to; stderr when None.
        limit: see `LIMIT_LINES`.
    """

    def __init__(self, *, json: bool, descriptor: int | None = None, limit: int = LIMIT_LINES) -> None:
        self._render = _render_json if json else _render_text
        self._descriptor = sys.stderr.fileno() if descriptor is None else descriptor
        self._limit = limit
        self._waiting: deque[Row] = deque()
        self._dropped = 0
        self._awake = False
        self._something = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._write_on, name="tiffin-access-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, row: Row) -> None:
        """Queues one line."""
        waiting = self._waiting
        if len(waiting) >= self._limit:
            self._dropped += 1
            return
        waiting.append(row)
        if not self._awake:
            self._awake = True
            self._something.set()

    def close(self) -> None:
        """Writes what waits, for at most a second: a terminal that blocks must not hold up the exit."""
        atexit.unregister(self.close)
        self._closed = True
        self._something.set()
        self._thread.join(1.0)

    def _write_on(self) -> None:
        while not self._closed:
            self._something.wait()
            if not self._closed:
                time.sleep(_FLUSH_S)
            # Cleared before looking: a line queued from here on sets it again.
            self._something.clear()
            self._awake = False
            while self._waiting or self._dropped:
                self._flush()

    def _flush(self) -> None:
        waiting = self._waiting
        lines = [self._render(waiting.popleft()) for _ in range(min(_SLICE, len(waiting)))]
        if not waiting and self._dropped:
            dropped, self._dropped = self._dropped, 0
            lines.append(self._report(dropped))
        try:
            _write_all(self._descriptor, b"".join(lines))
        except OSError:  # stderr is closed: there is nowhere to complain
            self._waiting.clear()
        time.sleep(0)

    def _report(self, dropped: int) -> bytes:
        reason = f"{dropped} access log lines dropped: stderr is too slow"
        if self._render is _render_json:
            return (
                _encode(
                    {"ts": _stamp(time.time()), "level": "warning", "logger": "tiffin.access", "msg": reason}
                )
                + b"\n"
            )
        return f"{_stamp(time.time())} {reason}\n".encode()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


_seconds: tuple[int, str] = (0, "")
"""The newest whole second and its text: thousands of lines share it."""


def _stamp(at: float) -> str:
    """UTC, ISO 8601 with milliseconds."""
    global _seconds  # noqa: PLW0603 - a cache of one; only the writing thread and tests come here
    second = int(at)
    if second != _seconds[0]:
        text = datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        _seconds = (second, text)
    return "%s.%03dZ" % (_seconds[1], (at - second) * 1000)  # noqa: UP031 - the fastest form


def _render_text(line: Row) -> bytes:
    at, client, method, path, status, size_bytes, seconds, request_id, trace_id = line
    if " " in path or not (path.isascii() and path.isprintable()):
        path = _printable(path)
    text = "%s %s %s %s %d %dB %.2fms id=%s" % (  # noqa: UP031 - the fastest form
        _stamp(at), client, method, path, status, size_bytes, seconds * 1000, request_id
    )  # fmt: skip
    return (f"{text} trace={trace_id}\n" if trace_id else text + "\n").encode()


_encode = msgspec.json.Encoder().encode


def _render_json(line: Row) -> bytes:
    at, client, method, path, status, size_bytes, seconds, request_id, trace_id = line
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
    return _encode(document) + b"\n"


def _printable(path: str) -> str:
    """A path is the caller's text: no line breaks, escape codes of a terminal or further fields get into the
    log."""
    return "".join(char if char.isprintable() and char != " " else f"\\x{ord(char):02x}" for char in path)
