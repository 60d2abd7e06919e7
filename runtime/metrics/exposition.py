"""The page that Prometheus scrapes.

Both of its formats, by `Accept`: https://prometheus.io/docs/instrumenting/exposition_formats/ (text 0.0.4
and OpenMetrics 1.0). The default registry of `prometheus_client` is left out: it belongs to one process,
and a scrape meets any of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from . import snapshot
from .catalog import FAMILIES, INFO, PROCESS_MEMORY, Family

if TYPE_CHECKING:
    from prometheus_client import Metric

Rows: TypeAlias = "dict[tuple[str, ...], list[float]]"
"""Label values to cells, of one family."""
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text"


def render(
    run_folder: Path, accept: str = "", told: Mapping[str, Rows] = MappingProxyType({})
) -> tuple[bytes, str]:
    """All metrics of a server, over all its processes.

    Args:
        run_folder: the private folder of the server.
        accept: the request's `Accept` header; OpenMetrics when it names it, text otherwise.
        told: families that nobody counts, with what somebody was asked for just now.

    Returns:
        The page and its content type.
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
    from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

    registry = CollectorRegistry()
    registry.register(Collector(run_folder, told))
    if _wants_openmetrics(accept):
        page: bytes = openmetrics(registry)  # type: ignore[no-untyped-call]
        return page, CONTENT_TYPE_LATEST
    return generate_latest(registry), TEXT


class Collector:
    """A collector for `prometheus_client`: reads the files anew at every scrape."""

    def __init__(self, run_folder: Path, told: Mapping[str, Rows] = MappingProxyType({})) -> None:
        self.run_folder = run_folder
        self.told = told

    def describe(self) -> list[Metric]:
        return []  # or the registry would collect to learn the names

    def collect(self) -> Iterable[Metric]:
        table: dict[str, Rows] = {**snapshot.read(self.run_folder), **self.told}
        if PROCESS_MEMORY.name in table:
            table[PROCESS_MEMORY.name] = _measured(table[PROCESS_MEMORY.name])
        for name, family in FAMILIES.items():
            if name in table and family.kind != "tally":
                yield _metric(family, table[name])


def _metric(family: Family, rows: Rows) -> Metric:
    from prometheus_client import core

    if family is INFO:
        info = core.InfoMetricFamily(family.name.removesuffix("_info"), family.help, labels=[])
        for values in rows:
            info.add_metric([], dict(zip(family.labels, values, strict=True)))
        return info
    if family.kind == "histogram":
        histogram = core.HistogramMetricFamily(family.name, family.help, labels=family.labels)
        names = [str(bound) for bound in family.bounds] + ["+Inf"]
        for values, (*counts, total) in sorted(rows.items()):
            histogram.add_metric(values, list(zip(names, accumulate(counts), strict=True)), total)
        return histogram
    kind = core.CounterMetricFamily if family.kind == "counter" else core.GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for values, (number,) in sorted(rows.items()):
        metric.add_metric(values, number)
    return metric


def _measured(pids: Rows) -> Rows:
    """Label values to resident bytes, of the processes that still run."""
    sizes = {values: _resident_bytes(int(pid)) for values, (pid,) in pids.items()}
    return {values: [float(size)] for values, size in sizes.items() if size is not None}


def _resident_bytes(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        pass
    if pid != os.getpid():
        return None
    import resource  # macOS: the peak, and of this process only, is what can be had without another package

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _wants_openmetrics(accept: str) -> bool:
    for offer in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in offer.split(";"))
        if media_type == OPENMETRICS:
            return not any(one.replace(" ", "") in {"q=0", "q=0.0"} for one in parameters)
    return False
