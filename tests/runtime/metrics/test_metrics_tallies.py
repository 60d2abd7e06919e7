"""Tallies: what the statistics of inference protocols are made of."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import NamedTuple

from tiffin.runtime.metrics import Metrics, retire
from tiffin.runtime.metrics.snapshot import read


class _Call(NamedTuple):
    arrival: float
    count: int
    route: str


def test_calls_are_told_apart_by_the_route_whose_request_made_them(tmp_path: Path) -> None:
    runner = Metrics.open(tmp_path, "api-0", "iris").runner("forest")
    calls = [_Call(1.0, 2, "/a"), _Call(2.0, 0, "/b"), _Call(2.5, 1, "/a")]
    runner.answered("predict", calls, 3.0, 0.5, 0.25)
    runner.answered("predict", calls[:1], 5.0, 0.5, 0.25)
    table = read(tmp_path)
    assert table["tiffin_call_tally"] == {
        ("iris", "forest", "predict", "/a"): [3.0, 5.0, 2.0, 2.0 + 0.5 + 4.0, 1.5, 0.75],
        ("iris", "forest", "predict", "/b"): [1.0, 1.0, 1.0, 1.0, 0.5, 0.25],
    }
    assert table["tiffin_size_tally"] == {
        ("iris", "forest", "predict", "4"): [1.0, 0.5, 0.25],
        ("iris", "forest", "predict", "2"): [1.0, 0.5, 0.25],
    }


def test_sizes_of_huge_batches_make_few_series(tmp_path: Path) -> None:
    runner = Metrics.open(tmp_path, "api-0", "iris").runner("forest")
    for rows in (1024, 1025, 2048, 2049):
        runner.answered("predict", [_Call(0.0, rows, "")], 0.0, 1.0, 0.0)
    assert sorted(int(labels[3]) for labels in read(tmp_path)["tiffin_size_tally"]) == [1024, 2048, 4096]


def test_seconds_of_failed_requests_and_the_last_one_of_all_processes(tmp_path: Path) -> None:
    before = time()
    for process in ("api-0", "api-1"):
        with Metrics.open(tmp_path, process, "iris") as metrics:
            request = metrics.request("/a")
            for code, seconds in ((200, 1.0), (399, 2.0), (400, 4.0), (499, 8.0)):
                request.begin()
                request.end(code, seconds)
    retire(tmp_path, "api-0")
    table = read(tmp_path)
    assert table["tiffin_request_tally"] == {("iris", "/a"): [24.0]}
    ((last,),) = table["tiffin_last_request"].values()
    assert before <= last <= time(), "a time is no sum"


def test_a_route_that_nobody_asks_has_no_series(tmp_path: Path) -> None:
    metrics = Metrics.open(tmp_path, "api-0", "iris")
    asked, _ = metrics.request("/a"), metrics.request("/b")
    asked.begin()
    assert all(
        labels[:2] == ("iris", "/a") for rows in read(tmp_path).values() for labels in rows if len(labels) > 1
    )
    assert read(tmp_path)["tiffin_requests_in_flight"] == {("iris", "/a"): [1.0]}
