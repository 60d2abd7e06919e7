"""HTTP/1.1 answers, read piece by piece without a socket (RFC 9112)."""

from __future__ import annotations

import re

from ...errors import ConnectionFailedError

_STATUS = re.compile(rb"HTTP/1\.([01]) (\d{3})(?: |$)")
_MOST_HEAD_BYTES = 256 * 1024
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")


class Answer:
    """One answer. `feed` it what comes; it says when its head and when all of it is there."""

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is there."""
        self.headers: dict[str, str] = {}
        """Lower-case name to value; repeated ones are joined with `, `."""
        self.pieces: list[bytes | bytearray] = []
        """Of the body, as they came."""
        self.whole = False
        self.keep_alive = True
        """Whether the connection may be used again, once `whole`."""
        self.missing = 0
        """Bytes of the body still to come, by `content-length`."""
        self.started = False
        """Whether anything came at all."""
        self._buffer = b""
        self._chunked = False
        self._chunk = 0
        self._trailer = False
        self._until_close = False

    def feed(self, data: bytes) -> None:
        """Raises ConnectionFailedError when it is no HTTP."""
        self.started = True
        if not self.status:
            data = self._head(data)
        if self.status and data and not self.whole:
            self._body(data)

    def eof(self) -> None:
        """The server closed the connection; raises ConnectionFailedError when something is missing."""
        if self._until_close and self.status:
            self.whole = True
            self.keep_alive = False
        elif not self.whole:
            raise ConnectionFailedError(
                "the server closed the connection before its answer was whole", sent=True
            )

    @property
    def body(self) -> bytes | bytearray:
        return self.pieces[0] if len(self.pieces) == 1 else bytearray().join(self.pieces)

    def take(self) -> bytes | bytearray:
        """What came of the body since the last time."""
        found = self.body
        self.pieces = []
        return found

    def filled(self, body: bytearray) -> None:
        """The body is whole: it was read elsewhere."""
        self.pieces = [body]
        self.missing = 0
        self.whole = True

    def _head(self, data: bytes) -> bytes:
        """What stands behind the head; empty while it is not there."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MOST_HEAD_BYTES:
                raise _malformed("a head without end")
            return b""
        head, rest = self._buffer[:end], self._buffer[end + 4 :]
        self._buffer = b""
        first, *lines = head.split(b"\r\n")
        match = _STATUS.match(first)
        if match is None:
            raise _malformed(repr(first[:80]))
        status = int(match.group(2))
        if 100 <= status < 200 and status != 101:
            return self._head(rest)  # an interim answer; the real one follows
        self.status = status
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                raise _malformed(repr(line[:80]))
            self._add(name.decode("latin-1").lower(), value.strip().decode("latin-1"))
        self._frame(old=match.group(1) == b"0")
        return rest

    def _add(self, name: str, value: str) -> None:
        known = self.headers.get(name)
        self.headers[name] = value if known is None else f"{known}, {value}"

    def _frame(self, *, old: bool) -> None:
        headers = self.headers
        connection = headers.get("connection", "").lower()
        self.keep_alive = "close" not in connection and (not old or "keep-alive" in connection)
        length = headers.get("content-length")
        if self.status in (204, 304):
            self.whole = True
        elif "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                raise _malformed(f"transfer-encoding {headers['transfer-encoding'][:80]!r}")
            self._chunked = True
        elif length is None:
            self._until_close = True
        elif not length.isdecimal():
            raise _malformed(f"content-length {length[:80]!r}")
        else:
            self.missing = int(length)
            self.whole = not self.missing

    def _body(self, data: bytes) -> None:
        if self._chunked:
            self._chunks(data)
        elif self._until_close:
            self.pieces.append(data)
        else:
            if len(data) > self.missing:
                data = data[: self.missing]
                self.keep_alive = False  # more than it announced
            self.pieces.append(data)
            self.missing -= len(data)
            self.whole = not self.missing

    def _chunks(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while not self.whole:
            if self._chunk:  # the rest of it, and its line break
                part = buffer[at : at + self._chunk]
                size = len(part)
                if self._chunk > 2:
                    self.pieces.append(part[: self._chunk - 2] if size > self._chunk - 2 else part)
                self._chunk -= size
                at += size
                if self._chunk:
                    break
            end = buffer.find(b"\r\n", at)
            if end < 0:
                break
            line, at = buffer[at:end], end + 2
            if self._trailer:
                self.whole = not line
                continue
            match = _SIZE.match(line)
            if match is None:
                raise _malformed(f"chunk size {line[:80]!r}")
            size = int(match.group(), 16)
            self._chunk = size + 2 if size else 0
            self._trailer = not size
        self._buffer = buffer[at:]
        if len(self._buffer) > _MOST_HEAD_BYTES:
            raise _malformed("a chunk size without end")


def _malformed(what: str) -> ConnectionFailedError:
    return ConnectionFailedError(f"what answers is no HTTP server: {what}", sent=True)
