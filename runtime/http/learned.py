"""What batching has learned, as metrics: made when somebody scrapes, so that no batch pays for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..batching.service_times import bucket_of, upper_edge
from ..metrics import catalog
from ..metrics.snapshot import Table

HOLDS = ("hold", "spread")
"""Decisions that keep rows waiting though a worker is idle."""


def learned(service: str, processes: Iterable[Mapping[str, Any]]) -> Table:
    """Learned times, caps and holds of every method; sizes are rows, or what its `cost` counts.

    Args:
        service: name of the service, the label `service`.
        processes: `explanation.everybody`; of two generations the later counts.
    """
    times: dict[tuple[str, ...], list[float]] = {}
    caps: dict[tuple[str, ...], list[float]] = {}
    holds: dict[tuple[str, ...], list[float]] = {}
    for process in processes:
        for runner, told in process["runners"].items():
            for name, method in told["methods"].items():
                labels = (service, runner, name, process["process"])
                for each in method["service_s"]:
                    size = (*labels, method["unit"], str(upper_edge(bucket_of(each["rows"]))))
                    times[size] = [each["seconds"]]
                if method["batch"]:
                    most = (*labels, method["unit"])
                    caps[most] = [method["cap"]]
                    for kind in HOLDS:
                        reason = (*labels, kind)
                        holds[reason] = [method["decisions"][kind]]
    found = ((catalog.BATCH_LEARNED, times), (catalog.BATCH_CAP, caps), (catalog.BATCH_HOLDS, holds))
    return {family.name: rows for family, rows in found if rows}
