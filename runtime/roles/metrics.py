"""What the gate of a worker container counts."""

from __future__ import annotations

from ..metrics import catalog
from ..metrics.metrics import Metrics
from ..metrics.series import Counter, Gauge


class GateMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def peers(self, number: int) -> None:
        """So many API processes are connected."""
        self._metrics.series(Gauge, catalog.PEERS, self._metrics.service).set(number)

    def refused(self, kind: str) -> None:
        """A connection was refused.

        Args:
            kind: of a small set: `token`, `version`, `malformed`, `too slow`, `tls`.
        """
        self._metrics.series(Counter, catalog.REFUSED, self._metrics.service, kind).inc()
