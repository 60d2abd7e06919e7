"""Writers that are killed, a supervisor that folds, a reader that never stops: every count exactly once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiffin.runtime.metrics import Metrics, retire, snapshot

WRITER = """
import sys
from pathlib import Path
from tiffin.runtime.metrics import Metrics

metrics = Metrics.open(Path(sys.argv[1]), sys.argv[2], "iris")
request = metrics.request("/classify")
request.begin()
print("up", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        request.begin()
        request.end(200, 0.5)
    print("done", flush=True)
"""


class Writer:
    """A process that counts as many requests as it is told to; one more is in flight for ever."""

    def __init__(self, run_folder: Path, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(run_folder), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._hear("up")

    def start(self, count: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()

    def finish(self) -> None:
        self._hear("done")

    def kill(self) -> None:
        with self.process:  # closes the pipes and waits
            self.process.send_signal(signal.SIGKILL)

    def _hear(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{word}\n"


@pytest.fixture
def writers() -> Iterator[list[Writer]]:
    started: list[Writer] = []
    yield started
    for writer in started:
        if writer.process.returncode is None:
            writer.kill()


def requests(run_folder: Path) -> float:
    rows = snapshot.read(run_folder).get("tiffin_requests_total", {})
    return sum(cells[0] for cells in rows.values())


def files(run_folder: Path) -> list[str]:
    return sorted(path.name for path in (run_folder / "metrics").iterdir())


def test_sums_are_exact_through_kills_folds_and_restarts(tmp_path: Path, writers: list[Writer]) -> None:
    seen: list[float] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(requests(tmp_path))

    reader = threading.Thread(target=read)
    chance = random.Random(7)
    expected = 0
    slots = [Writer(tmp_path, f"api-{number}") for number in range(3)]
    writers += slots
    reader.start()
    try:
        for _ in range(8):
            counts = [chance.randrange(1, 3000) for _ in slots]
            for slot, count in zip(slots, counts, strict=True):
                slot.start(count)
            for slot in slots:
                slot.finish()
            expected += sum(counts)
            assert requests(tmp_path) == expected
            victim = chance.randrange(len(slots))
            slots[victim].kill()
            assert requests(tmp_path) == expected  # dead, not folded
            retire(tmp_path, slots[victim].name)
            assert requests(tmp_path) == expected  # folded
            slots[victim] = Writer(tmp_path, f"api-{victim}")
            writers.append(slots[victim])
    finally:
        stop.set()
        reader.join()
    assert seen == sorted(seen), "a scrape saw a counter fall"
    assert seen[-1] <= expected
    in_flight = snapshot.read(tmp_path)["tiffin_requests_in_flight"]["iris", "/classify"]
    assert in_flight == [len(slots)], "gauges of dead processes are gone"
    histogram = snapshot.read(tmp_path)["tiffin_request_duration_seconds"]["iris", "/classify"]
    assert sum(histogram[:-1]) == expected
    assert histogram[-1] == expected * 0.5
    # Eight deaths left one file; two for each process that lives.
    assert len(files(tmp_path)) == 2 * len(slots) + len([snapshot.RETIRED, "fold.lock"])


def test_a_kill_in_the_middle_of_counting_loses_nothing(tmp_path: Path, writers: list[Writer]) -> None:
    """The histogram and the counter are one event apart at most, wherever the signal hits."""
    total = 0.0
    for _ in range(5):
        writer = Writer(tmp_path, "api-0")
        writers.append(writer)
        writer.start(10_000_000)
        before = total
        while total < before + 500:
            total = requests(tmp_path)
        writer.kill()
        final = requests(tmp_path)
        assert final >= total
        retire(tmp_path, "api-0")
        assert requests(tmp_path) == final
        total = final
    histogram = snapshot.read(tmp_path)["tiffin_request_duration_seconds"]["iris", "/classify"]
    assert 0 <= sum(histogram[:-1]) - total <= 5


def test_a_fold_that_dies_half_way_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for process in ("api-0", "api-1"):
        metrics = Metrics.open(tmp_path, process, "iris")
        request = metrics.request("/classify")
        request.begin()
        request.end(200, 0.1)
        metrics.close()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # before the rename: nothing has happened
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            retire(tmp_path, "api-0")
    assert requests(tmp_path) == 2
    with monkeypatch.context() as patch:  # after the rename: all has happened, but the files are there
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            retire(tmp_path, "api-0")
    assert len([name for name in files(tmp_path) if name.endswith(".cells")]) == 2
    assert requests(tmp_path) == 2
    retire(tmp_path, "api-1")
    assert requests(tmp_path) == 2
    assert files(tmp_path) == ["fold.lock", snapshot.RETIRED]


def test_a_fold_during_a_scrape_makes_it_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics.open(tmp_path, "api-0", "iris")
    metrics.request("/classify").end(200, 0.1)
    metrics.close()
    listing = snapshot._living_and_dead
    rounds = []

    def fold_after_listing(*args: object) -> list[Path]:
        found = listing(*args)  # type: ignore[arg-type]
        rounds.append(found)
        if len(rounds) == 1:
            retire(tmp_path, "api-0")
        return found

    monkeypatch.setattr(snapshot, "_living_and_dead", fold_after_listing)
    assert requests(tmp_path) == 1
    assert rounds[0]
    assert not rounds[-1]


def test_the_next_life_of_a_name_is_left_alone(tmp_path: Path) -> None:
    old = Metrics.open(tmp_path, "api-0", "iris")
    new = Metrics.open(tmp_path, "api-0", "iris")
    for metrics in (old, new):
        metrics.request("/classify").begin()
        metrics.request("/classify").end(200, 0.1)
        metrics.request("/classify").begin()
    old.close()
    retire(tmp_path, "api-0")
    new.request("/classify").end(200, 0.1)
    table = snapshot.read(tmp_path)
    assert table["tiffin_requests_total"]["iris", "/classify", "POST", "200"] == [3.0]
    assert table["tiffin_requests_in_flight"]["iris", "/classify"] == [0.0]
    new.close()


FORKING = """
import os, sys
from pathlib import Path
from tiffin.runtime.metrics import Metrics

metrics = Metrics.open(Path(sys.argv[1]), "api-0", "iris")
metrics.request("/classify").begin()
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, b"x")
    sys.stdin.read()  # outlives its parent, until the test lets it go
    os._exit(0)
os.read(reading, 1)
print("forked", flush=True)
os._exit(1)
"""


def test_a_forked_child_does_not_keep_its_dead_parent_alive(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FORKING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        assert process.wait() == 1
        assert "tiffin_requests_in_flight" not in snapshot.read(tmp_path)
        retire(tmp_path, "api-0")
        assert files(tmp_path) == ["fold.lock", snapshot.RETIRED]


def test_two_servers_do_not_meet(tmp_path: Path) -> None:
    for name, code in (("one", 200), ("two", 500)):
        Metrics.open(tmp_path / name, "api-0", name).request("/").end(code, 0.1)
    assert list(snapshot.read(tmp_path / "one")["tiffin_requests_total"]) == [("one", "/", "POST", "200")]
    assert list(snapshot.read(tmp_path / "two")["tiffin_requests_total"]) == [("two", "/", "POST", "500")]


def test_retiring_without_metrics_is_nothing(tmp_path: Path) -> None:
    retire(tmp_path, "api-0")
    assert snapshot.read(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
