"""How long a connection may be silent, slow or stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http.limits import BODY_RATE, HEAD_LIMIT_S, STALL_LIMIT_S
from .error import CANCEL, NO_ERROR, SETTINGS_TIMEOUT, ConnectionFaultError

if TYPE_CHECKING:
    from .connection import Connection
    from .stream import Stream


class Patience:
    """Looks at a connection once a second. One without requests may stay: callers keep it for their next."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._buffered = 0
        self._stalled_since = 0.0

    def sweep(self, now: float) -> None:
        """`now`: `time.monotonic()`."""
        connection = self._connection
        connection.intake.control.nuisances = 0
        transport = connection.transport
        buffered = transport.get_write_buffer_size()
        if not buffered or buffered != self._buffered:
            self._buffered, self._stalled_since = buffered, now
        elif now - self._stalled_since > STALL_LIMIT_S:
            transport.abort()
            return
        if connection.deaf:
            return
        if not connection.intake.control.greeted and now - connection.began > HEAD_LIMIT_S:
            connection.fail(ConnectionFaultError(SETTINGS_TIMEOUT, "no settings came"))
            return
        if connection.intake.block_since and now - connection.intake.block_since > HEAD_LIMIT_S:
            connection.fail(ConnectionFaultError(NO_ERROR, "a header block did not end"))
            return
        connection.rests.sweep(now)
        for stream in list(connection.streams.values()):
            self._sweep(stream, now)

    @staticmethod
    def _sweep(stream: Stream, now: float) -> None:
        slow = (
            not stream.ended
            and not stream.streaming
            and now - stream.opened > HEAD_LIMIT_S + stream.received / BODY_RATE
        )
        if stream.stalled(now) > STALL_LIMIT_S or slow:
            receiver = stream.receiver
            stream.reset(CANCEL)
            receiver.lost()
