"""An explanation as text."""

from __future__ import annotations

import explanations

from tiffin.runtime.http import report


def test_a_process_as_text() -> None:
    told = explanations.process(
        predict=explanations.method(),
        hello=explanations.quiet(batch=False, max_latency_s=None, workers=1),
        fresh=explanations.method(service_s=[], reasons={"idle worker": 1}, rows=1),
    )
    assert report.report(told).splitlines() == [
        "batching of api-0, generation 1",
        "forest.predict: 1,000 batches, 15,000 rows, 15.0 a batch, 3 rows wait, 1,234 rows/s arrive",
        "  cap 24 of 64 rows (knee at 24), at most 100 ms, 2 workers",
        "  rows    ms  rows/s  batches",
        "   1.0  2.00     500       10  ██▋",
        "  22.5  5.00   4,500       15  ████████████████████████",
        "  60.0   200     300        5  █▋",
        "  left because: idle worker 700 (70 %), full 299 (30 %), probe 1 (< 1 %)",
        "  held back: 7 for callers that come back soon",
        "forest.hello: no batches yet",
        "  one call at a time, no latency limit, 1 worker",
        "forest.fresh: 1 batch, 1 rows, 1.0 a batch, 3 rows wait, 1,234 rows/s arrive",
        "  cap 24 of 64 rows, at most 100 ms, 2 workers",
        "  nothing learned yet: the first batch of a worker does not count",
        "  left because: idle worker 1 (100 %)",
        "  held back: 7 for callers that come back soon",
    ]


def test_a_method_that_weighs_its_calls() -> None:
    weighed = explanations.method(unit="length", max_rows=8192, cap=4096)
    lines = report.report(explanations.process(predict=weighed)).splitlines()
    assert lines[1].endswith("15.0 a batch, 3 cost units wait, 1,234 cost units/s arrive")
    assert lines[2:4] == [
        "  cap 4096 of 8192 cost units (knee at 24), at most 100 ms, 2 workers",
        "  the sizes of batches are costs: length",
    ]
    assert lines[4].split() == ["cost", "ms", "cost/s", "batches"]


def test_a_service_without_runners() -> None:
    told = {**explanations.process(), "runners": {}}
    assert report.report(told).splitlines()[1:] == ["no runners: nothing is batched"]
