from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from tiffin.errors import ServerError
from tiffin.runtime.metrics import Metrics, cells, snapshot
from tiffin.runtime.metrics.cells import SEGMENT_CELLS, CellFile


def only(folder: Path, suffix: str) -> Path:
    (path,) = folder.glob(f"*{suffix}")
    return path


def test_the_files_grow_and_old_cells_stay_where_they_are(tmp_path: Path) -> None:
    file = CellFile(tmp_path, "api-0")
    count = 7  # does not divide a segment
    given = [(*file.add("f", [str(number)], count), number) for number in range(SEGMENT_CELLS)]
    for segment, at, _, number in given:
        for cell in range(count):
            segment[at + cell] += number * count + cell
    dead, series = cells.read(only(tmp_path, ".cells"))
    assert not dead
    assert [values for _, values, _ in series] == [(str(number),) for number in range(SEGMENT_CELLS)]
    assert [numbers for _, _, numbers in series] == [
        [float(number * count + cell) for cell in range(count)] for number in range(SEGMENT_CELLS)
    ]
    assert only(tmp_path, ".cells").stat().st_size > cells.SEGMENT_BYTES * (count - 1)


def test_an_index_cut_at_any_byte_gives_its_whole_lines(tmp_path: Path) -> None:
    file = CellFile(tmp_path, "api-0")
    for value in ("a", "\n", "ü"):
        file.add("f", [value], 1)
    whole = only(tmp_path, ".index").read_bytes()
    assert whole.count(b"\n") == 3
    for size in range(len(whole) + 1):
        only(tmp_path, ".index").write_bytes(whole[:size])
        _, series = cells.read(only(tmp_path, ".cells"))
        assert [values[0] for _, values, _ in series] == ["a", "\n", "ü"][: whole[:size].count(b"\n")]


def test_a_torn_line_does_not_take_the_next_one_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = CellFile(tmp_path, "api-0")
    write = os.write
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "tiffin.metrics"):
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:9]))
        segment, at, place = file.add("f", ["lost"], 1)
        file.add("f", ["lost too"], 1)
    segment[at] += 1  # counted nowhere, but it does not fail
    assert place == -1
    assert len(caplog.records) == 1
    file.add("f", ["kept"], 1)
    _, series = cells.read(only(tmp_path, ".cells"))
    assert series == [("f", ("kept",), [0.0])]


def test_a_full_disk_while_growing_does_not_fail_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics.open(tmp_path, "api-0", "iris")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with caplog.at_level(logging.WARNING, "tiffin.metrics"):
        for number in range(100):
            request = metrics.request(f"/{number}")
            request.begin()
            request.end(200, 0.1)
    assert [record.getMessage() for record in caplog.records] == [
        "metrics of api-0 are incomplete: [Errno 28] No space left on device"
    ]
    rows = snapshot.read(tmp_path)["tiffin_request_duration_seconds"]
    assert 0 < len(rows) < 100
    assert all(sum(row[:-1]) == 1 for row in rows.values())


def test_a_full_disk_at_the_start_leaves_nothing_and_fails_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with Metrics.open(tmp_path, "api-0", "iris") as metrics:
        request = metrics.request("/classify")
        request.begin()
        request.end(200, 0.1)
        metrics.worker_up("forest", "forest-0", True)
        metrics.worker_gone("forest", "forest-0")
    assert caplog.text.count("metrics of api-0 are not kept") == 1
    assert list((tmp_path / "metrics").iterdir()) == []
    assert snapshot.read(tmp_path) == {}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("a file")
    with pytest.raises(ServerError, match="TMPDIR"):
        Metrics.open(tmp_path, "api-0", "iris")


def test_a_removed_gauge_is_gone_and_its_cell_is_used_again(tmp_path: Path) -> None:
    metrics = Metrics.open(tmp_path, "supervisor", "iris")
    for spawn in range(2 * SEGMENT_CELLS):
        metrics.worker_up("forest", f"forest-0-{spawn}", True)
        assert list(snapshot.read(tmp_path)["tiffin_worker_up"].items()) == [
            (("iris", "forest", f"forest-0-{spawn}"), [1.0])
        ]
        metrics.worker_gone("forest", f"forest-0-{spawn}")
    assert only(tmp_path / "metrics", ".cells").stat().st_size == cells.SEGMENT_BYTES


def test_the_dead_are_told_from_the_living(tmp_path: Path) -> None:
    file = CellFile(tmp_path, "api/0 @home")
    path = only(tmp_path, ".cells")
    assert path.name.startswith(cells.stem_prefix("api/0 @home"))
    assert cells.read(path)[0] is False
    file.close()
    assert cells.read(path)[0] is True
    file.close()


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    CellFile(tmp_path / "metrics", "api-0")
    assert (tmp_path / "metrics").stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "metrics").iterdir()} == {0o600}
