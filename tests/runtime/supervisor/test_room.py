"""Workers and queues that fit into the memory."""

from __future__ import annotations

from typing import Any

import pytest

from tiffin.runtime.manifest import MethodSpec, RunnerSpec, ServiceSpec, TypeSpec, WorkerRange
from tiffin.runtime.supervisor.gpu import Gpu
from tiffin.runtime.supervisor.gpus import Gpus
from tiffin.runtime.supervisor.plan import Plan, plan
from tiffin.runtime.supervisor.room import Room, bodies_bytes, bounded
from tiffin.runtime.supervisor.weights import Weights

MIB = 2**20


def settle(*runners: RunnerSpec, room: Room, cpus: float = 8.0, **changed: Any) -> Plan:
    spec = ServiceSpec(name="iris", cls="service:Iris", runners=list(runners))
    given = {"gpus": Gpus((), ""), "processes": None, "workers": {}, **changed}
    return plan(spec, cpus=cpus, room=room, **given)


def forest(workers: Any = "auto", **more: Any) -> RunnerSpec:
    return RunnerSpec(name="forest", workers=workers, **more)


def test_auto_is_what_the_memory_is_enough_for() -> None:
    settled = settle(forest(), room=Room(640 * MIB))
    assert settled.workers == {"forest": 2}  # (480 - 60 - 80) / 128
    assert settled.runners["forest"].threads == 4, "the cores are divided among those that run"
    assert settled.warnings[0].startswith("forest: the memory, 0.7 GB, is enough for 2 of the 8 workers")
    assert settle(forest(), room=Room(64 * 1024 * MIB)).workers == {"forest": 8}


def test_weights_count_and_what_is_shared_counts_once() -> None:
    own = Room(1024 * MIB, {"forest": Weights(200 * MIB, 0)})
    assert settle(forest(), room=own).workers == {"forest": 1}  # (768 - 140) / 328
    shared = Room(1024 * MIB, {"forest": Weights(200 * MIB, 200 * MIB)})
    assert settle(forest(), room=shared).workers == {"forest": 3}  # (768 - 140 - 200) / 128


def test_auto_is_at_least_one_worker() -> None:
    settled = settle(forest(), room=Room(64 * MIB))
    assert settled.workers == {"forest": 1}
    assert "need about" in settled.warnings[-1]


def test_api_processes_leave_room_for_workers() -> None:
    assert settle(forest(1), room=Room(1000 * MIB), processes="auto").processes == 3  # 250 / 80
    assert settle(forest(1), room=Room(100 * MIB), processes="auto").processes == 1
    assert settle(forest(1), room=Room(9000 * MIB), processes="auto").processes == 8
    assert settle(forest(1), room=Room(1000 * MIB), processes=6).processes == 6


def test_the_others_come_first_and_autos_share_alike() -> None:
    pond = RunnerSpec(name="pond", workers="auto")
    fixed = RunnerSpec(name="fixed", workers=2)
    settled = settle(forest(), pond, fixed, room=Room(1600 * MIB))
    assert settled.workers == {"forest": 3, "pond": 3, "fixed": 2}  # (1200 - 140 - 256) / 2 / 128


def test_a_number_is_a_number() -> None:
    settled = settle(forest(6), room=Room(512 * MIB))
    assert settled.workers == {"forest": 6}
    assert settled.warnings == (
        "1 API process and 6 workers need about 1.0 GB of 0.5 GB of memory: use fewer of either",
    )
    settled = settle(forest("auto"), room=Room(512 * MIB), workers={"forest": 6})
    assert settled.workers == {"forest": 6}


def test_a_range_keeps_its_least() -> None:
    settled = settle(forest(WorkerRange(min=3, max="auto")), room=Room(640 * MIB))
    assert (settled.runners["forest"].least, settled.runners["forest"].most) == (3, 3)
    settled = settle(forest(WorkerRange(min=1, max="auto")), room=Room(640 * MIB))
    assert (settled.runners["forest"].least, settled.runners["forest"].most) == (1, 2)


def test_gpus_are_another_matter() -> None:
    gpus = Gpus(tuple(Gpu(str(index)) for index in range(4)), "all of this machine's")
    room = Room(640 * MIB, {"forest": Weights(10_000 * MIB, 0)})
    settled = settle(forest("auto", gpus=1), room=room, gpus=gpus)
    assert settled.workers == {"forest": 4}
    assert not any("weights" in warning for warning in settled.warnings)


def test_weights_that_cannot_fit() -> None:
    room = Room(1024 * MIB, {"forest": Weights(900 * MIB, 0)})
    assert settle(forest(2), room=room).warnings == (
        "the weights alone take 1.9 GB of 1.1 GB of memory: use fewer workers",
    )


def pictures(dtype: str = "float32", shape: list[int | str] | None = None, **more: Any) -> RunnerSpec:
    shape = ["n", 3, 224, 224] if shape is None else shape
    method = MethodSpec(inputs={"x": TypeSpec(kind="array", dtype=dtype, shape=shape)})
    return RunnerSpec(name="net", methods={"predict": method}, max_batch_size=8, workers=2, **more)


@pytest.mark.parametrize(
    ("runner", "rows"),
    [
        (pictures(), 133),  # 15 % of 512 MiB, 602,112 bytes a row
        (pictures("uint8"), 256),  # 16 batches of 8 rows for 2 workers
        (pictures(max_queue_rows=5000), 5000),
        (pictures(shape=["n", "any", 3]), 256),
        (pictures(shape=["n"]), 256),
        (pictures(dtype=""), 256),
        (pictures(shape=["n", 3, 4000, 4000]), 8),  # a batch, whatever it takes
    ],
)
def test_rows_that_wait(runner: RunnerSpec, rows: int) -> None:
    settled = settle(runner, room=Room(512 * MIB))
    assert settled.runners["net"].queue_rows == rows
    spec = ServiceSpec(name="iris", cls="service:Iris", runners=[runner])
    (found,) = bounded(spec, {"net": 2}, 1, 512 * MIB).runners
    expected = runner.max_queue_rows if rows >= 256 else rows
    assert found.max_queue_rows == expected, "what fits anyway is left to grow with the workers"


def test_queues_share_the_memory() -> None:
    settled = settle(pictures(), room=Room(512 * MIB), processes=2)
    assert settled.runners["net"].queue_rows == 66


def test_queues_for_workers_elsewhere() -> None:
    spec = ServiceSpec(name="iris", cls="service:Iris", runners=[pictures()])
    assert bounded(spec, {}, 1, 512 * MIB).runners[0].max_queue_rows == 133


def test_bodies_share_what_is_left_of_the_memory() -> None:
    assert bodies_bytes(1_000_000_000, 1) == 150_000_000
    assert bodies_bytes(1_000_000_000, 4) == 37_500_000
