"""Bodies that still come in after their requests were answered."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from ..http.limits import HEAD_LIMIT_S, LINGER_S
from .error import NO_ERROR
from .frame import RST_STREAM, WINDOW_UPDATE, frame, number
from .stream import RECEIVE_WINDOW

if TYPE_CHECKING:
    from .connection import Connection


class _Rest:
    __slots__ = ("heard", "since", "unread")

    def __init__(self) -> None:
        self.since = self.heard = monotonic()
        """When the answer was complete; when the newest piece came."""
        self.unread = 0
        """Bytes that the peer was not told we took."""


class Rests:
    """Of one connection: taken for a while and dropped, as after a refusal over HTTP/1.1.

    A stream may be reset as soon as it is answered (RFC 9113, 8.1), but callers that are still sending then
    lose the answer (curl, Node) or wait for more window without looking for one (httpx).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rests: dict[int, _Rest] = {}
        """By stream, in the order of their answers."""

    def __contains__(self, stream: int) -> bool:
        return stream in self._rests

    def __len__(self) -> int:
        return len(self._rests)

    def add(self, stream: int, unread: int) -> None:
        """Its answer is complete, its body is not."""
        self._rests[stream] = _Rest()
        self.take(stream, unread)

    def take(self, stream: int, size: int) -> bool:
        """Drops a piece of `size` bytes; False: it is not one of these streams."""
        rest = self._rests.get(stream)
        if rest is None:
            return False
        rest.heard = monotonic()
        rest.unread += size
        if rest.unread > RECEIVE_WINDOW // 2:
            self._connection.write(frame(WINDOW_UPDATE, 0, stream, number.pack(rest.unread)))
            rest.unread = 0
        return True

    def forget(self, stream: int) -> None:
        """The peer has ended it; it may be none of these."""
        if self._rests.pop(stream, None) is not None:
            self._connection.close_if_done()

    def sweep(self, now: float) -> None:
        """Ends those that are silent, or have lasted too long. `now`: `time.monotonic()`."""
        for stream, rest in list(self._rests.items()):
            if now - rest.heard > LINGER_S or now - rest.since > HEAD_LIMIT_S:
                self._connection.write(frame(RST_STREAM, 0, stream, number.pack(NO_ERROR)))
                self._connection.ours.append(stream)
                self.forget(stream)
