"""What the user said of sizes and times: the method's own word, else the runner's."""

from __future__ import annotations

from math import inf

from ..manifest import MethodSpec, RunnerSpec

QUEUED_BATCHES = 16
"""Batches a worker that may wait when `max_queue_rows` is not given."""


def max_rows(spec: RunnerSpec, method: MethodSpec) -> int:
    """Cap of a batch: the method's own, else the runner's; 1 for a method that takes no batches."""
    if not method.batch:
        return 1
    return method.max_batch_size if method.max_batch_size is not None else spec.max_batch_size


def max_weight(spec: RunnerSpec, method: MethodSpec) -> int:
    """Cap of a batch in the unit of the policy: what `cost` counts, else rows."""
    return max_rows(spec, method) if method.max_cost is None else method.max_cost


def max_latency_s(spec: RunnerSpec, method: MethodSpec) -> float:
    """Longest that a row may spend in the runner: the method's own, else the runner's; `inf` for none."""
    limit = method.max_latency_ms if method.max_latency_ms is not None else spec.max_latency_ms
    return inf if limit is None else limit / 1000
