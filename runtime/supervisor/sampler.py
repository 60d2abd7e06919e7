"""From the counters of all processes to what the autoscaler looks at."""

from __future__ import annotations

from ..batching.limits import max_rows
from ..manifest import RunnerSpec
from ..metrics import catalog
from ..metrics.catalog import Family
from ..metrics.snapshot import Table
from .load import Sample

_FOR_WANT_OF_CAPACITY = ("queue full", "latency", "deadline")


def sample(table: Table, service: str, runner: RunnerSpec, *, at: float, workers: int) -> Sample:
    """What a runner has done until now.

    Args:
        at: now, in seconds.
        workers: warm now.
    """
    calls, waited_s = _histogram(table, catalog.QUEUE_WAIT, service, runner.name)
    batches = rows = room = busy_s = 0.0
    for name, method in runner.methods.items():
        count, sum_rows = _histogram(table, catalog.BATCH_ROWS, service, runner.name, name)
        batches += count
        rows += sum_rows
        room += count * max_rows(runner, method)
        busy_s += _histogram(table, catalog.MODEL_SECONDS, service, runner.name, name)[1]
    return Sample(
        at=at,
        workers=workers,
        waiting=_cell(table, catalog.QUEUE_ROWS, service, runner.name),
        calls=calls,
        waited_s=waited_s,
        batches=batches,
        rows=rows,
        room=room,
        busy_s=busy_s,
        refused=sum(_cell(table, catalog.SHED, service, runner.name, why) for why in _FOR_WANT_OF_CAPACITY),
    )


def _histogram(table: Table, family: Family, *values: str) -> tuple[float, float]:
    """Count and sum."""
    *buckets, total = table.get(family.name, {}).get(values, [0.0])
    return sum(buckets), total


def _cell(table: Table, family: Family, *values: str) -> float:
    return table.get(family.name, {}).get(values, [0.0])[0]
