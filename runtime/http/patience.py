"""How long one connection may be silent, slow or stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .limits import BODY_RATE, HEAD_LIMIT_S, LINGER_S, STALL_LIMIT_S, TooSlowError, hung_up

if TYPE_CHECKING:
    from .protocol import PredictionProtocol


class Patience:
    """Looks at a connection once a second and ends it when its time is over."""

    def __init__(self, connection: PredictionProtocol) -> None:
        self._connection = connection
        self._buffered = 0
        self._stalled_since = 0.0

    def sweep(self, now: float) -> None:
        """`now`: `time.monotonic()`."""
        connection = self._connection
        transport = connection.transport
        if connection.running is not None and connection.flow.read_paused and hung_up(transport):
            transport.abort()
            return
        buffered = transport.get_write_buffer_size()
        if not buffered:
            self._stalled_since = 0.0
            self._sweep_silence(now)
        elif buffered != self._buffered or not self._stalled_since:
            self._buffered, self._stalled_since = buffered, now
        elif now - self._stalled_since > STALL_LIMIT_S:
            transport.abort()

    def _sweep_silence(self, now: float) -> None:
        connection = self._connection
        cycle: Any = connection.cycle
        quiet_s = now - connection.idle_since
        answered = cycle is None or cycle.response_complete or cycle.disconnected
        if connection.deaf:
            if answered and quiet_s > LINGER_S:
                if connection.odd_method is not None and connection.odd_method.waits:
                    connection.odd_method.end()
                else:
                    connection.transport.abort()
        elif connection.receiving and (answered or cycle is connection.incoming):
            incoming = connection.incoming
            limit_s = HEAD_LIMIT_S + (incoming.size / BODY_RATE if incoming is not None else 0)
            if now - connection.began > limit_s:
                connection.stop_parsing(
                    TooSlowError(f"the request did not arrive within {now - connection.began:.0f} s")
                )
        elif answered and quiet_s > (HEAD_LIMIT_S if cycle is None else connection.timeout_keep_alive):
            connection.transport.close()
