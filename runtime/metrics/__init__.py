"""Counting across processes: `Metrics` writes, `exposition.render` reads, `retire` tidies up."""

from __future__ import annotations

from .metrics import Metrics as Metrics
from .metrics import RequestMetrics as RequestMetrics
from .metrics import RunnerMetrics as RunnerMetrics
from .snapshot import retire as retire
