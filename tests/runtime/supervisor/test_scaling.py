"""More and fewer processes while the server runs: real ones that only speak the control protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from waiting import until_in_loop

from tiffin.errors import ServerError, UsageError
from tiffin.runtime.manifest import MethodSpec, RunnerSpec, WorkerRange
from tiffin.runtime.metrics import snapshot
from tiffin.runtime.metrics.metrics import Metrics
from tiffin.runtime.supervisor import autoscaler, house, scaling
from tiffin.runtime.supervisor.admin import Scale, Step
from tiffin.runtime.supervisor.control import Target
from tiffin.runtime.supervisor.memory import own_bytes
from tiffin.runtime.supervisor.options import ServeOptions
from tiffin.runtime.supervisor.run_folder import RunFolder
from tiffin.runtime.supervisor.running import Running
from tiffin.runtime.supervisor.sampler import sample
from tiffin.runtime.supervisor.sockets import listen
from tiffin.runtime.supervisor.subject import Subject
from tiffin.runtime.supervisor.supervisor import Supervisor


class Place:
    """A server in this process, its children, and a command that talks to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.orders = folder / "orders.json"
        self.ready = asyncio.Event()
        self.steps: list[Step] = []
        self.supervisor: Supervisor

    def order(self, **orders: Any) -> None:
        self.orders.write_text(json.dumps(orders))

    def run(self, play: Callable[[], Coroutine[Any, Any, None]], **options: Any) -> None:
        async def whole() -> None:
            with RunFolder(self.folder) as self.run_folder:
                sockets = listen("127.0.0.1", 0)
                self.supervisor = Supervisor(
                    Subject(
                        text="source",
                        folder=self.folder,
                        target=Target(source=str(self.folder), service="m:C"),
                        title="fake",
                        spec=None,
                    ),
                    options=ServeOptions(
                        on_event=lambda event: self.ready.set() if event.kind == "ready" else None,
                        **{"drain_s": 5.0, **options},
                    ),
                    started=0.0,
                )
                serving = asyncio.ensure_future(self.supervisor.run(sockets, self.run_folder))
                try:
                    await asyncio.wait_for(self.ready.wait(), 60)
                    await asyncio.wait_for(play(), 60)
                finally:
                    self.supervisor._signalled(15)
                    await serving
                    for opened in sockets:
                        opened.close()

        asyncio.run(whole())

    async def scale(
        self, processes: int | None = None, limit_s: float = 30.0, **workers: str
    ) -> dict[str, Any]:
        """As the command does, through the socket."""
        question = Scale(workers=workers, processes=processes, limit_s=limit_s)

        def ask() -> dict[str, Any]:
            return Running(self.run_folder.path / "admin.sock").ask(question, self.steps.append)

        return await asyncio.to_thread(ask)

    @property
    def generation(self) -> Any:
        return self.supervisor._succession.current

    def up(self, runner: str) -> list[str]:
        return [worker.name for worker in self.generation.workers[runner] if worker.up]

    def gauge(self, family: str, *values: str) -> float | None:
        cells = snapshot.read(self.run_folder.path).get(family, {}).get(values)
        return None if cells is None else cells[0]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.setenv("FAKE_CHILDREN", str(made.orders))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "support"))
    monkeypatch.setattr(house, "SERVER_MODULE", "fake_children")
    monkeypatch.setattr(house, "WORKER_MODULE", "fake_children")
    return made


def test_an_api_process_that_leaves_hears_of_workers_all_the_same(place: Place) -> None:
    """Callers still wait there: for what a worker had in hand, and for the one that takes its place."""

    async def play() -> None:
        leaver = place.generation.apis[1].child
        scaling_down = asyncio.ensure_future(place.scale(processes=1))
        await until_in_loop(lambda: place.generation.register.leaving)
        place.generation.workers["forest"][0].child.kill("test")
        await scaling_down
        assert leaver.exit.result().code == 0, "it ended by itself"

    place.order(runners={"forest": 1}, processes=2, **{"api api-1": "mourn"})
    place.run(play, drain_s=30.0)


def test_up_and_down_again(place: Place) -> None:
    async def play() -> None:
        answer = await place.scale(forest="3")
        assert place.up("forest") == ["forest-0", "forest-1", "forest-2"]
        assert (answer["before"]["runners"]["forest"]["workers"], answer["runners"]["forest"]["workers"]) == (
            1,
            3,
        )
        assert place.gauge("tiffin_workers_wanted", "fake", "forest") == 3
        newest = place.generation.workers["forest"][-1].child.pid
        assert 0.5 < answer["own_bytes"]["forest"] / (own_bytes(newest) or 0) < 2
        done = [step.done for step in place.steps if step.total == 2]  # both may come up between two steps
        assert done[0] == 0
        assert done == sorted(done)
        children = [worker.child for worker in place.generation.workers["forest"]]
        await place.scale(forest="1")
        assert place.up("forest") == ["forest-0"]
        assert [child.alive for child in children] == [True, False, False]
        assert [child.exit.result().code for child in children[1:]] == [0, 0], "asked, not killed"
        assert place.gauge("tiffin_worker_up", "fake", "forest", "forest-2") is None
        assert place.gauge("tiffin_scalings_total", "fake", "forest", "command") == 2

    place.order(runners={"forest": 1})
    place.run(play)


def test_api_processes(place: Place) -> None:
    async def play() -> None:
        await place.scale(processes=3)
        assert [api.name for api in place.generation.apis if api.up] == ["api-0", "api-1", "api-2"]
        await place.scale(processes=1, forest="2")
        assert [api.name for api in place.generation.apis if api.up] == ["api-0"]
        assert len(place.up("forest")) == 2
        assert not place.generation.deaf.is_set(), "the one that is left still takes connections"

    place.order(runners={"forest": 1})
    place.run(play)


def test_what_cannot_be(place: Place) -> None:
    async def play() -> None:
        with pytest.raises(
            UsageError, match=r"no runner 'forset'; did you mean 'forest'\? \(it has: forest\)"
        ):
            await place.scale(forset="2")
        with pytest.raises(UsageError, match="'0' is no number of workers"):
            await place.scale(forest="0")
        with pytest.raises(UsageError, match="0 API processes"):
            await place.scale(processes=0)
        assert place.up("forest") == ["forest-0"]

    place.order(runners={"forest": 1})
    place.run(play)


def test_above_the_gpus_nothing_starts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")

    async def play() -> None:
        with pytest.raises(ServerError, match=r"need 3 GPUs \(forest 3 × 1\), here are 2: 0, 1"):
            await place.scale(forest="3")
        assert len(place.generation.workers["forest"]) == 1
        await place.scale(forest="2")
        assert [worker.devices for worker in place.generation.workers["forest"]] == [("0",), ("1",)]

    place.order(runners={"forest": 1}, gpus=1)
    place.run(play)


def test_devices_of_those_that_went_are_free(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")

    async def play() -> None:
        await place.scale(a="1", b="2")
        assert [worker.devices for worker in place.generation.workers["b"]] == [("2",), ("1",)]

    place.order(runners={"a": 2, "b": 1}, gpus=1)
    place.run(play)


def test_a_new_worker_that_does_not_start_leaves_the_numbers_as_they_were(place: Place) -> None:
    async def play() -> None:
        place.order(**{"runners": {"forest": 1}, "worker forest-2": "fail no such weights"})
        with pytest.raises(
            ServerError, match=r"forest-2 does not start, the numbers are as before: no such weights"
        ):
            await place.scale(forest="3")
        assert place.up("forest") == ["forest-0"]
        assert len(place.generation.workers["forest"]) == 1
        place.order(runners={"forest": 1})
        await place.scale(forest="2")
        assert place.up("forest") == ["forest-0", "forest-1"]

    place.order(runners={"forest": 1})
    place.run(play)


def test_a_new_worker_that_hangs(place: Place) -> None:
    async def play() -> None:
        place.order(**{"runners": {"forest": 1}, "worker forest-1": "hang"})
        with pytest.raises(ServerError, match=r"forest-1 not ready within 0\.5 s"):
            await place.scale(forest="2", limit_s=0.5)
        assert len(place.generation.workers["forest"]) == 1

    place.order(runners={"forest": 1})
    place.run(play)


def test_a_reload_keeps_the_numbers(place: Place) -> None:
    async def play() -> None:
        await place.scale(forest="3", processes=2)
        before = place.generation
        await place.supervisor._succession.replace(place.supervisor._succession.subject)
        assert place.generation is not before
        assert (len(place.up("forest")), len(place.generation.apis)) == (3, 2)

    place.order(runners={"forest": 1})
    place.run(play)


def test_a_process_that_leaves_may_be_killed_with_the_server(place: Place) -> None:
    async def play() -> None:
        children = [worker.child for worker in place.generation.workers["forest"]]
        asking = asyncio.ensure_future(place.scale(forest="1"))
        await until_in_loop(lambda: len(place.generation.workers["forest"]) == 1)
        place.supervisor._signalled(15)
        place.supervisor._signalled(15)
        with contextlib.suppress(ServerError):
            await asking
        await asyncio.gather(*(child.exit for child in children))

    place.order(**{"runners": {"forest": 2}, "worker forest-1": "stubborn"})
    place.run(play)


def overload(counted: Any) -> None:
    """A second of batches, however late the next ones come."""
    for _ in range(20):
        counted.waited([0.2])
        counted.batch("predict", 64, "full", 0.05)


def test_the_load_decides(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What API processes would count is counted here."""
    for name, seconds in (("WINDOW_S", 0.06), ("HOT_S", 0.02), ("QUIET_S", 0.1), ("USELESS_S", 0.1)):
        monkeypatch.setattr(autoscaler, name, seconds)
    monkeypatch.setattr(scaling, "SAMPLE_S", 0.02)
    caplog.set_level("INFO")

    async def play() -> None:
        with Metrics.open(place.run_folder.path, "api-9", "fake") as metrics:
            counted = metrics.runner("forest")
            while len(place.up("forest")) < 3:
                overload(counted)
                await asyncio.sleep(0.005)
            await until_in_loop(lambda: len(place.generation.workers["forest"]) == 1)
        assert place.gauge("tiffin_workers_wanted", "fake", "forest") == 1
        assert place.gauge("tiffin_scalings_total", "fake", "forest", "late") >= 1
        said = [record.getMessage() for record in caplog.records if "→" in record.getMessage()]
        assert said[0].startswith("forest: 1 → 2 workers (of 1 to 3), late: busy 100%, calls waited 200 ms")
        assert "quiet: busy" in said[-1]

    place.order(runners={"forest": {"min": 1, "max": 3}}, methods=["predict"])
    place.run(play)


def test_a_worker_that_the_load_called_and_that_does_not_start(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, seconds in (("WINDOW_S", 0.06), ("HOT_S", 0.02)):
        monkeypatch.setattr(autoscaler, name, seconds)
    monkeypatch.setattr(scaling, "SAMPLE_S", 0.02)

    async def play() -> None:
        with Metrics.open(place.run_folder.path, "api-9", "fake") as metrics:
            counted = metrics.runner("forest")
            while not place.gauge("tiffin_scalings_total", "fake", "forest", "failed"):
                overload(counted)
                await asyncio.sleep(0.005)
        await until_in_loop(lambda: len(place.generation.register.slots()) == 2)
        assert place.up("forest") == ["forest-0"]
        assert place.gauge("tiffin_workers_wanted", "fake", "forest") == 1
        assert "forest: back to 1 workers, forest-1 does not start" in caplog.text

    place.order(
        **{
            "runners": {"forest": {"min": 1, "max": 3}},
            "methods": ["predict"],
            "worker forest-1": "fail no room",
        }
    )
    place.run(play)


def test_a_sample_of_the_counters(tmp_path: Path) -> None:
    runner = RunnerSpec(
        name="forest",
        max_batch_size=32,
        methods={
            "predict": MethodSpec(),
            "embed": MethodSpec(max_batch_size=8),
            "one": MethodSpec(batch=False),
        },
        workers=WorkerRange(max=2),
    )
    with Metrics.open(tmp_path, "api-0", "iris") as metrics:
        counted, other = metrics.runner("forest"), metrics.runner("tree")
        counted.queue(5)
        counted.waited([0.25])
        counted.waited([0.5])
        counted.batch("predict", 16, "full", 0.125)
        counted.batch("embed", 4, "full", 0.25)
        counted.batch("one", 1, "full", 0.5)
        counted.shed("queue full")
        counted.shed("cancelled")
        other.batch("predict", 32, "full", 9.0)
        found = sample(snapshot.read(tmp_path), "iris", runner, at=7.0, workers=2)
    assert (found.calls, found.waited_s, found.waiting) == (2, 0.75, 5)
    assert (found.batches, found.rows, found.room, found.busy_s) == (3, 21, 41, 0.875)
    assert found.refused == 1
    assert sample({}, "iris", runner, at=7.0, workers=2).busy_s == 0


def test_memory_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/smaps_rollup").write_text(
        "55d-7ff ---p 00000000 00:00 0 [rollup]\nRss: 900 kB\nPrivate_Clean:        8 kB\n"
        "Private_Dirty:       40 kB\nPrivate_Hugetlb:      0 kB\n"
    )
    assert own_bytes(7, tmp_path) == 48 * 1024
    assert own_bytes(8, tmp_path) is None


def test_a_server_without_ranges_does_not_look(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    monkeypatch.setattr(scaling.Scaling, "_look", lambda self, generation: looks.append(generation))
    monkeypatch.setattr(scaling, "SAMPLE_S", 0.01)

    async def play() -> None:
        await asyncio.sleep(0.1)
        assert looks == []
        await place.scale(forest="1..2")
        await until_in_loop(lambda: len(looks) >= 3)

    place.order(runners={"forest": 1})
    place.run(play)
