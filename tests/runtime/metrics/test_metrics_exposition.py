from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tiffin import __version__
from tiffin.runtime.metrics import Metrics, catalog
from tiffin.runtime.metrics.catalog import FAMILIES
from tiffin.runtime.metrics.exposition import render
from tiffin.runtime.metrics.series import Gauge
from tiffin.runtime.roles.metrics import GateMetrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def everything(run_folder: Path) -> Metrics:
    metrics = Metrics.open(run_folder, "api-0", "iris")
    metrics.info("iris:6f3k2q")
    request = metrics.request("/classify")
    for code, seconds in ((200, 0.00005), (200, 0.001), (503, 0.002), (200, 70.0)):
        request.begin()
        request.end(code, seconds)
    request.begin()
    runner = metrics.runner("forest")
    runner.queue(5)
    runner.queue(2)
    runner.waited([0.01])
    runner.batch("predict", 1, "idle", 0.003)
    runner.batch("predict", 64, "full", 0.03)
    runner.batch("predict", 2000, "full", 0.3)
    runner.shed("queue full")
    metrics.worker_up("forest", "forest-0", True)
    metrics.worker_up("forest", "forest-1", False)
    metrics.restarted("forest", "SIGKILL")
    metrics.workers_wanted("forest", 3)
    metrics.scaled("forest", "late")
    metrics.unauthorized("missing")
    metrics.series(Gauge, catalog.REMOTE_WORKERS, "iris", "forest").set(3)
    gate = GateMetrics(metrics)
    gate.peers(2)
    gate.refused("token")
    return metrics


def families(page: bytes, content_type: str) -> dict[str, Metric]:
    parse = (
        openmetrics.text_string_to_metric_families
        if content_type.startswith("application/openmetrics-text")
        else text_string_to_metric_families
    )
    return {family.name: family for family in parse(page.decode())}


def value(found: dict[str, Metric], name: str, **labels: str) -> float:
    (only,) = (
        sample.value
        for family in found.values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
    return only


@pytest.mark.parametrize("accept", ["", "text/plain;version=0.0.4", OPENMETRICS])
def test_every_metric_is_there_and_parses(tmp_path: Path, accept: str) -> None:
    everything(tmp_path)
    learned = ("iris", "forest", "predict", "api-0")
    told = {
        "tiffin_batch_learned_seconds": {(*learned, "rows", "8"): [0.25], (*learned, "rows", "64"): [0.5]},
        "tiffin_batch_cap": {(*learned, "rows"): [48.0]},
        "tiffin_batch_holds_total": {(*learned, "hold"): [3.0]},
    }
    found = families(*render(tmp_path, accept, told))
    info = "tiffin" if accept == OPENMETRICS else "tiffin_info"
    shown = {name for name, family in FAMILIES.items() if family.kind != "tally"}
    assert set(found) == {info} | {name.removesuffix("_total") for name in shown if name != "tiffin_info"}
    assert all(family.documentation for family in found.values())
    assert value(found, "tiffin_info", version=__version__, service="iris", bundle="iris:6f3k2q") == 1
    assert value(found, "tiffin_requests_total", code="200", method="POST", route="/classify") == 3
    assert value(found, "tiffin_requests_total", code="503") == 1
    assert value(found, "tiffin_requests_in_flight") == 1
    assert value(found, "tiffin_batch_learned_seconds", process="api-0", size="64") == 0.5
    assert value(found, "tiffin_batch_cap", method="predict") == 48
    assert value(found, "tiffin_batch_holds_total", reason="hold") == 3
    duration = "tiffin_request_duration_seconds"
    assert value(found, f"{duration}_bucket", le="0.0001") == 1
    assert value(found, f"{duration}_bucket", le="0.001") == 2, "a bound belongs to its bucket"
    assert value(found, f"{duration}_bucket", le="60.0") == 3
    assert value(found, f"{duration}_bucket", le="+Inf") == 4
    assert value(found, f"{duration}_count") == 4
    assert value(found, f"{duration}_sum") == pytest.approx(70.00305)
    assert value(found, "tiffin_queue_rows", runner="forest") == 2
    assert value(found, "tiffin_queue_wait_seconds_count", runner="forest") == 1
    assert value(found, "tiffin_batch_rows_bucket", method="predict", le="64.0") == 2
    assert value(found, "tiffin_batch_rows_sum") == 2065
    assert value(found, "tiffin_batches_total", reason="full") == 2
    assert value(found, "tiffin_model_seconds_sum") == pytest.approx(0.333)
    assert value(found, "tiffin_shed_total", reason="queue full") == 1
    assert value(found, "tiffin_worker_up", worker="forest-0") == 1
    assert value(found, "tiffin_worker_up", worker="forest-1") == 0
    assert value(found, "tiffin_worker_restarts_total", reason="SIGKILL") == 1
    assert value(found, "tiffin_remote_workers", runner="forest") == 3
    assert value(found, "tiffin_peers") == 2
    assert value(found, "tiffin_refused_connections_total", reason="token") == 1
    assert value(found, "tiffin_process_memory_bytes", process="api-0") > 1_000_000


def test_processes_are_added_up_and_info_is_not(tmp_path: Path) -> None:
    alive = [everything(tmp_path), everything(tmp_path)]
    found = families(*render(tmp_path))
    assert value(found, "tiffin_requests_total", code="200") == 6
    assert value(found, "tiffin_requests_in_flight") == 2
    assert value(found, "tiffin_info") == 1
    assert value(found, "tiffin_worker_up", worker="forest-0") == 1
    for metrics in alive:
        metrics.close()


def test_a_worker_that_is_gone_takes_its_memory_along(tmp_path: Path) -> None:
    metrics = Metrics.open(tmp_path, "supervisor", "iris")
    metrics.worker_up("forest", "forest-1", True)
    metrics.runs("forest-1", os.getpid())
    assert shown_processes(tmp_path) == {"supervisor", "forest-1"}
    metrics.worker_gone("forest", "forest-1")
    assert shown_processes(tmp_path) == {"supervisor"}
    assert "tiffin_worker_up" not in families(*render(tmp_path))
    metrics.worker_gone("forest", "forest-1")


def test_memory_is_measured_when_it_is_asked_for_and_only_of_who_runs(tmp_path: Path) -> None:
    metrics = Metrics.open(tmp_path, "supervisor", "iris")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        metrics.runs("forest-1", process.pid)
        own = value(families(*render(tmp_path)), "tiffin_process_memory_bytes", process="supervisor")
        filled = bytearray(b"x" * 50_000_000)
        grown = value(families(*render(tmp_path)), "tiffin_process_memory_bytes", process="supervisor")
        assert grown - own > 0.8 * len(filled)
        assert shown_processes(tmp_path) == {"supervisor", "forest-1"}
    assert shown_processes(tmp_path) == {"supervisor"}


def shown_processes(run_folder: Path) -> set[str]:
    family = families(*render(run_folder))["tiffin_process_memory_bytes"]
    return {sample.labels["process"] for sample in family.samples}


def test_a_new_bundle_takes_the_place_of_the_old(tmp_path: Path) -> None:
    metrics = Metrics.open(tmp_path, "supervisor", "iris")
    for bundle in ("iris:one", "iris:two", "iris:two"):
        metrics.info(bundle)
    (sample,) = families(*render(tmp_path))["tiffin_info"].samples
    assert sample.labels["bundle"] == "iris:two"


def test_callers_cannot_make_series_by_inventing_methods(tmp_path: Path) -> None:
    metrics = Metrics.open(tmp_path, "api-0", "iris")
    for method in ("GET", "BREW", "WHEN", "get"):
        metrics.request("/", method).end(200, 0.1)
    found = families(*render(tmp_path))
    assert value(found, "tiffin_requests_total", method="GET") == 1
    assert value(found, "tiffin_requests_total", method="other") == 3


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;q=0, text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;q=0.5,Application/OpenMetrics-Text;version=1.0.0", "application/openmetrics-text"),
        ("application/openmetrics-text; version=nonsense", "application/openmetrics-text"),
    ],
)
def test_the_format_is_chosen_by_accept(tmp_path: Path, accept: str, content_type: str) -> None:
    page, sent = render(tmp_path, accept)
    assert sent.startswith(content_type)
    assert page == (b"# EOF\n" if "openmetrics" in content_type else b"")


def test_an_empty_or_missing_folder_gives_an_empty_page(tmp_path: Path) -> None:
    assert render(tmp_path / "gone")[0] == b""


@settings(max_examples=150, deadline=None)
@given(labels=st.lists(st.text(st.characters(codec=None), max_size=30), min_size=1, max_size=5, unique=True))
def test_strange_labels_come_back_as_they_were(labels: list[str]) -> None:
    with TemporaryDirectory() as folder:
        metrics = Metrics.open(Path(folder), "api-0", labels[0])
        for label in labels:
            metrics.runner(label).shed(label)
        printable = [label.encode("utf-8", "replace").decode() for label in labels]
        for accept in ("", OPENMETRICS):
            found = families(*render(Path(folder), accept))
            samples = [s for s in found["tiffin_shed"].samples if s.name == "tiffin_shed_total"]
            assert {sample.labels["runner"] for sample in samples} == set(printable)
            assert all(sample.labels["reason"] == sample.labels["runner"] for sample in samples)
            assert {sample.labels["service"] for sample in samples} == {printable[0]}
            assert sum(sample.value for sample in samples) == len(labels)
        metrics.close()
