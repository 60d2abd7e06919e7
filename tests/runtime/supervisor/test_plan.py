from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiffin.errors import ConfigError, ServerError
from tiffin.runtime.manifest import RunnerSpec, ServiceSpec
from tiffin.runtime.supervisor.gpus import Devices, devices
from tiffin.runtime.supervisor.plan import Plan, plan, worker_environ


def spec(*runners: RunnerSpec, processes: int | str = 1) -> ServiceSpec:
    return ServiceSpec(name="iris", cls="service:Iris", runners=list(runners), processes=processes)


def settle(service: ServiceSpec, **changed: Any) -> Plan:
    return plan(service, **{"cpus": 8.0, "gpus": 0, "processes": None, "workers": {}, **changed})


def test_auto_is_one_worker_a_core() -> None:
    settled = settle(spec(RunnerSpec(name="forest", workers="auto"), processes="auto"), cpus=3.5)
    assert settled.workers == {"forest": 3}
    assert settled.processes == 3


def test_auto_is_at_least_one() -> None:
    assert settle(spec(RunnerSpec(name="forest", workers="auto")), cpus=0.5).workers == {"forest": 1}


def test_auto_with_gpus_is_as_many_as_there_are() -> None:
    assert settle(spec(RunnerSpec(name="net", workers="auto", gpus=2)), gpus=5).workers == {"net": 2}


def test_threads_are_shared_among_all_workers() -> None:
    settled = settle(spec(RunnerSpec(name="a", workers=2), RunnerSpec(name="b", workers=1, threads=3)))
    assert settled.threads == {"a": 2, "b": 3}
    assert settle(spec(RunnerSpec(name="a", workers=20))).threads == {"a": 1}


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
    with pytest.raises(ServerError, match=r"need 4 GPUs \(net 2 × 2\), 3 are here"):
        settle(spec(RunnerSpec(name="net", workers=2, gpus=2)), gpus=3)


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        ("0,2", ["0", "2"]),
        ("", []),
        ("-1", []),
        ("1,-1,2", ["1"]),
        ("GPU-8932f937-d72c, MIG-1f2e", ["GPU-8932f937-d72c", "MIG-1f2e"]),
    ],
)
def test_devices_from_the_environment(visible: str, found: list[str], tmp_path: Path) -> None:
    assert devices({"CUDA_VISIBLE_DEVICES": visible}, tmp_path / "none") == found


def test_devices_from_the_driver(tmp_path: Path) -> None:
    assert devices({}, tmp_path / "none") == []
    for bus in ("0000:17:00.0", "0000:65:00.0"):
        (tmp_path / bus).mkdir()
    assert devices({}, tmp_path) == ["0", "1"]


def test_no_device_is_given_twice() -> None:
    free = Devices(["0", "1", "2"])
    assert free.take("a", 2) == ["0", "1"]
    assert free.take("b", 0) == []
    with pytest.raises(ServerError, match=r"'b' needs 2 GPU.* 1 of 3"):
        free.take("b", 2)
    assert free.take("b", 1) == ["2"]


def test_a_fraction_of_a_device() -> None:
    with pytest.raises(ServerError, match=r"gpus=0\.5"):
        Devices(["0"]).take("a", 0.5)


def test_environment_of_a_worker() -> None:
    environ = worker_environ(2, ["1", "3"], {"HOME": "/home/ann", "OMP_NUM_THREADS": "64"})
    assert environ["HOME"] == "/home/ann"
    assert {environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}
    assert environ["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert worker_environ(1, [], {"CUDA_VISIBLE_DEVICES": "0"})["CUDA_VISIBLE_DEVICES"] == ""
