from __future__ import annotations

from typing import Any

import pytest

from tiffin.errors import ConfigError, ServerError
from tiffin.runtime.manifest import RunnerSpec, ServiceSpec, WorkerRange
from tiffin.runtime.supervisor.gpu import Gpu
from tiffin.runtime.supervisor.gpus import Gpus
from tiffin.runtime.supervisor.plan import Plan, plan, worker_environ
from tiffin.runtime.supervisor.room import Room


def spec(*runners: RunnerSpec, processes: int | str = 1) -> ServiceSpec:
    return ServiceSpec(name="iris", cls="service:Iris", runners=list(runners), processes=processes)


def settle(service: ServiceSpec, **changed: Any) -> Plan:
    devices = tuple(Gpu(str(index)) for index in range(changed.pop("gpus", 0)))
    gpus = Gpus(devices, "all of this machine's")
    fixed = {"cpus": 8.0, "gpus": gpus, "processes": None, "workers": {}, "room": Room(64 * 2**30)}
    return plan(service, **{**fixed, **changed})


def threads(settled: Plan) -> dict[str, int]:
    return {name: runner.threads for name, runner in settled.runners.items()}


def test_auto_is_one_worker_a_core() -> None:
    settled = settle(spec(RunnerSpec(name="forest", workers="auto"), processes="auto"), cpus=3.5)
    assert settled.workers == {"forest": 3}
    assert settled.processes == 3


def test_auto_is_at_least_one() -> None:
    assert settle(spec(RunnerSpec(name="forest", workers="auto")), cpus=0.5).workers == {"forest": 1}


@pytest.mark.parametrize(
    ("share", "gpus", "workers"), [(1, 3, 3), (2, 5, 2), (0.5, 2, 4), (0.4, 1, 2), (0.1, 1, 10)]
)
def test_auto_with_gpus_is_as_many_as_fit(share: float, gpus: int, workers: int) -> None:
    settled = settle(spec(RunnerSpec(name="net", workers="auto", gpus=share)), gpus=gpus)
    assert (settled.workers, settled.runners["net"].least) == ({"net": workers}, workers)


def test_auto_takes_what_the_others_leave() -> None:
    fixed = RunnerSpec(name="fixed", workers=2, gpus=1)
    settled = settle(spec(RunnerSpec(name="auto", workers="auto", gpus=0.5), fixed), gpus=4)
    assert settled.workers == {"auto": 4, "fixed": 2}
    wide = RunnerSpec(name="wide", workers=WorkerRange(min=1, max="auto"), gpus=1)
    settled = settle(spec(RunnerSpec(name="auto", workers="auto", gpus=1), wide, fixed), gpus=7)
    assert (settled.workers["auto"], settled.runners["wide"].least, settled.runners["wide"].most) == (3, 1, 2)


def test_auto_is_at_least_one_worker() -> None:
    with pytest.raises(ServerError, match=r"need 3 GPUs \(auto 1 × 1, fixed 2 × 1\), here are 2: "):
        settle(
            spec(
                RunnerSpec(name="auto", workers="auto", gpus=1), RunnerSpec(name="fixed", workers=2, gpus=1)
            ),
            gpus=2,
        )
    with pytest.raises(ServerError, match=r"need 1 GPUs \(auto 1 × 1\), here is none"):
        settle(spec(RunnerSpec(name="auto", workers="auto", gpus=1)))


def test_threads_are_shared_among_all_workers() -> None:
    settled = settle(spec(RunnerSpec(name="a", workers=2), RunnerSpec(name="b", workers=1, threads=3)))
    assert threads(settled) == {"a": 2, "b": 3}
    assert threads(settle(spec(RunnerSpec(name="a", workers=20)))) == {"a": 1}


def test_a_range_starts_at_its_least_and_shares_the_cores_among_its_most() -> None:
    settled = settle(
        spec(RunnerSpec(name="a", workers=WorkerRange(min=2, max=4)), RunnerSpec(name="b")), cpus=10
    )
    assert (settled.runners["a"].least, settled.runners["a"].most, settled.workers["a"]) == (2, 4, 2)
    assert threads(settled) == {"a": 2, "b": 2}
    assert (settled.runners["b"].least, settled.runners["b"].most) == (1, 1)


def test_a_range_up_to_auto() -> None:
    wide = WorkerRange(min=1, max="auto")
    assert settle(spec(RunnerSpec(name="a", workers=wide)), cpus=6.0).runners["a"].most == 6
    assert settle(spec(RunnerSpec(name="a", workers=wide, gpus=0.5)), gpus=2).runners["a"].most == 4
    assert (
        settle(spec(RunnerSpec(name="a", workers=WorkerRange(min=3, max="auto"))), cpus=2).runners["a"].most
        == 3
    )


def test_a_reload_starts_with_what_the_load_has_called_for() -> None:
    service = spec(RunnerSpec(name="a", workers=WorkerRange(min=2, max=4)), RunnerSpec(name="b", workers=2))
    assert settle(service, running={"a": 3}).workers["a"] == 3
    assert settle(service, running={"a": 9}).workers["a"] == 4
    assert settle(service, running={"a": 1, "b": 5}).workers == {"a": 2, "b": 2}


def test_devices_are_set_aside_for_all_that_may_run() -> None:
    service = spec(
        RunnerSpec(name="a", workers=WorkerRange(min=1, max=2), gpus=1), RunnerSpec(name="b", gpus=0.5)
    )
    settled = settle(service, gpus=3)
    assert settled.allotment.of("a") == [("0",), ("1",)]
    assert settled.allotment.of("b") == [("2",)]
    with pytest.raises(ServerError, match=r"need 2\.5 GPUs \(a 2 × 1, b 1 × 0\.5\), here are 2: 0, 1 "):
        settle(service, gpus=2)


def test_who_holds_devices_keeps_them() -> None:
    service = spec(RunnerSpec(name="a", workers=2, gpus=1))
    before = settle(service, gpus=3)
    after = settle(service, gpus=3, workers={"a": 3}, allotment=before.allotment)
    assert after.allotment.of("a") == [("0",), ("1",), ("2",)]


def test_more_than_the_cores_is_warned_of() -> None:
    fine = settle(spec(RunnerSpec(name="a", workers=4), RunnerSpec(name="b", workers=4)), processes=8)
    assert fine.warnings == ()
    many = settle(spec(RunnerSpec(name="a", workers=5, threads=2)), cpus=2.0, processes=3)
    assert many.warnings == (
        "10 threads of workers (a 5 × 2) share 2 cores: use fewer of either, or each is slower",
        "3 API processes share 2 cores: more than one a core gains nothing",
    )


def test_the_command_line_wins() -> None:
    service = spec(RunnerSpec(name="a", workers=2), RunnerSpec(name="b"), processes=4)
    settled = settle(service, processes=1, workers={"a": 5, "b": "auto"}, cpus=2.0)
    assert (settled.processes, settled.workers) == (1, {"a": 5, "b": 2})


def test_an_override_of_no_runner_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"forset.*it has: forest"):
        settle(spec(RunnerSpec(name="forest")), workers={"forset": 1})


@pytest.mark.parametrize("number", [0, -1, "many"])
def test_a_number_below_one(number: int | str) -> None:
    with pytest.raises(ConfigError, match="from 1 on"):
        settle(spec(RunnerSpec(name="forest", workers=number)))


def test_more_gpus_than_there_are() -> None:
    with pytest.raises(ServerError, match=r"need 4 GPUs \(net 2 × 2\), here are 3: 0, 1, 2 "):
        settle(spec(RunnerSpec(name="net", workers=2, gpus=2)), gpus=3)


def test_environment_of_a_worker() -> None:
    environ = worker_environ(2, ("1", "3"), {"HOME": "/home/ann", "OMP_NUM_THREADS": "64"})
    assert environ["HOME"] == "/home/ann"
    assert {environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}
    assert environ["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert worker_environ(1, (), {"CUDA_VISIBLE_DEVICES": "0"})["CUDA_VISIBLE_DEVICES"] == ""
