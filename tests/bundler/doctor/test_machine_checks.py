"""Checks of the machine: each fires where it should, and is silent where nothing is wrong."""

from __future__ import annotations

import socket
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from patients import GB, only, patient, saved, served
from ports import kept_port

from tiffin.bundler.doctor import (
    clock,
    containers,
    cores,
    gpu,
    limits,
    locking,
    memory,
    port,
    python_version,
    shared_memory,
    store,
)
from tiffin.bundler.doctor.volume import Volume
from tiffin.bundler.doctor.volume import volume as look_at_volume
from tiffin.runtime.manifest import BundleInfo, MethodSpec, ServiceSpec
from tiffin.runtime.supervisor.gpu import Gpu
from tiffin.runtime.supervisor.nvml import Versions
from tiffin.runtime.supervisor.weights import Weights

from patients import array  # isort: skip

H200 = Gpu("GPU-1", "NVIDIA H200", 141 * GB)
TORCH_124 = {"torch": "2.6.0+cu124"}


def home(**changes: Any) -> dict[str, Any]:
    facts = {"kind": "ext4", "total_bytes": 500 * GB, "free_bytes": 400 * GB, "free_files": 10**7, **changes}
    return {"home_volume": Volume(**{"path": Path("/home/me/.tiffin"), **facts})}


def test_nothing_is_wrong_with_a_good_machine() -> None:
    for check in (
        clock,
        containers,
        cores,
        gpu,
        limits,
        locking,
        memory,
        python_version,
        shared_memory,
        store,
    ):
        assert list(check.check(patient())) == [], check.NAME


@pytest.mark.parametrize(
    ("changes", "severity", "says"),
    [
        ({"free_bytes": 10 << 20}, "error", "free"),
        ({"free_bytes": 500 << 20}, "warning", "free"),
        ({"free_files": 12}, "warning", "12 more files"),
        ({"kind": "nfs4"}, "warning", "nfs4"),
        ({"kind": "tmpfs"}, "warning", "gone after a restart"),
        ({"writable": False}, "error", "may not be written"),
        ({"mode": 0o777}, "error", "runs as you"),
    ],
)
def test_the_store(changes: dict[str, Any], severity: str, says: str) -> None:
    assert says in only(list(store.check(patient(on=home(**changes)))), severity).what


def test_a_store_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.write_text("")
    found = only(list(store.check(patient(on=home(path=file, writable=False)))), "error")
    assert found.what == "the store is to be a folder, and this is a file"


def test_a_store_that_all_may_write_to_but_not_delete_from_is_left_alone() -> None:
    assert list(store.check(patient(on=home(mode=0o1777)))) == []


def test_a_store_that_cannot_be_asked() -> None:
    only(list(store.check(patient(on={"home_volume": None}))), "error")


def test_the_file_system_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/a / ext4 rw 0 0\n/dev/b {tmp_path} nfs4 rw 0 0\n/dev/c {tmp_path}/other xfs rw 0 0\n"
    )
    found = look_at_volume(tmp_path / "new" / "store", mounts)
    assert found is not None
    assert (found.kind, found.writable, found.path) == ("nfs4", True, tmp_path / "new" / "store")
    assert 0 < found.free_bytes <= found.total_bytes


def test_shared_memory() -> None:
    small = Volume(Path("/dev/shm"), "tmpfs", 64 << 20, 64 << 20)
    assert "67" in only(list(shared_memory.check(patient(on={"shared_memory": small}))), "warning").what
    only(list(shared_memory.check(patient(on={"shared_memory": None}))), "warning")
    assert list(shared_memory.check(patient(on={"shared_memory": None, "system": "darwin"}))) == []


def test_limits() -> None:
    assert (
        only(list(limits.check(patient(on={"open_files": (256, 65536)}))), "warning").mend
        == "ulimit -n 65536"
    )
    only(list(limits.check(patient(on={"open_files": (1024, 65536)}))), "note")
    assert "limits.conf" in only(list(limits.check(patient(on={"open_files": (1024, 1024)}))), "warning").mend
    assert list(limits.check(patient(on={"open_files": (-1, -1)}))) == []
    only(list(limits.check(patient(on={"processes": 100}))), "warning")


def test_the_clock() -> None:
    assert (
        "2021"
        in only(
            list(clock.check(patient(on={"now": datetime(2021, 3, 1, tzinfo=timezone.utc)}))), "error"
        ).what
    )
    ahead = saved(created="2026-06-01T00:00:00+00:00")
    assert "forest:1" in only(list(clock.check(patient(models=(ahead,)))), "warning").what
    assert list(clock.check(patient(models=(saved(),)))) == []


def test_a_port_in_use() -> None:
    with kept_port() as number:
        with socket.create_server(("127.0.0.1", number)):
            assert f"--port {number + 1}" in only(list(port.check(patient(port=number))), "warning").mend
        assert list(port.check(patient(port=number))) == []
    assert list(port.check(patient(port=0))) == []


def test_uv_and_engines() -> None:
    assert "tiffin[lock]" in only(list(locking.check(patient(on={"uv": False}))), "warning").mend
    assert list(locking.check(patient(on={"uv": False}, kind="model"))) == []
    only(list(containers.check(patient(on={"engines": (), "docker_socket": None}))), "note")
    assert "usermod" in only(list(containers.check(patient(on={"docker_socket": False}))), "warning").mend
    assert "start docker" in only(list(containers.check(patient(on={"docker_socket": None}))), "warning").mend
    assert list(containers.check(patient(on={"engines": ("docker", "podman"), "docker_socket": None}))) == []


def test_python() -> None:
    only(list(python_version.check(patient(on={"python": "3.15.0"}))), "warning")
    spec = ServiceSpec(name="iris", cls="")
    info = BundleInfo(name="iris", version="1", created="", digest="", service=spec, python="3.10")
    found = only(list(python_version.check(patient(bundle=info, kind="bundle", title="iris:1"))), "warning")
    assert "--python 3.10" in found.mend
    assert list(python_version.check(patient(bundle=info, on={"python": "3.10.4"}))) == []


def test_threads_times_workers_over_cores() -> None:
    found = only(list(cores.check(patient(on={"cores": 4}, service=served(workers=4, threads=4)))), "warning")
    assert "16 threads" in found.what
    assert "--workers forest=4" in found.mend
    assert list(cores.check(patient(on={"cores": 16}, service=served(workers=4, threads=4)))) == []
    only(list(cores.check(patient(on={"cores": 0.5}))), "warning")


def test_weights_times_workers_over_memory() -> None:
    weights = {"forest": Weights(5 * GB)}
    heavy = patient(
        on={"memory_bytes": 16 * GB, "cores": 8}, service=served(workers=4), weights=weights, title="iris:1"
    )
    assert "bundle serve iris:1 --workers forest=1" in only(list(memory.check(heavy)), "error").mend
    light = patient(on={"memory_bytes": 64 * GB}, service=served(workers=4), weights=weights)
    assert list(memory.check(light)) == []
    shared = patient(
        on={"memory_bytes": 16 * GB}, service=served(workers=4), weights={"forest": Weights(5 * GB, 5 * GB)}
    )
    assert list(memory.check(shared)) == []
    only(list(memory.check(patient(on={"memory_bytes": 256 * 10**6}))), "warning")


def test_a_batch_over_memory() -> None:
    video = {"predict": MethodSpec(inputs={"x": array("n", 3, 1080, 1920, 8)})}
    big = served(methods=video, max_batch_size=64)
    found = only(list(memory.check(patient(on={"memory_bytes": 8 * GB}, service=big))), "error")
    assert "64 rows of 199 MB" in found.what
    assert "max_batch_size=16" in found.mend
    assert list(memory.check(patient(on={"memory_bytes": 8 * GB}, service=served()))) == []
    on_gpu = served(methods=video, max_batch_size=1024, gpus=1)
    only(list(memory.check(patient(on={"gpus": (H200,), "memory_bytes": 512 * GB}, service=on_gpu))), "error")


def test_weights_over_a_device() -> None:
    service = served(gpus=0.5, workers=2)
    on = {"gpus": (H200,), "memory_bytes": 900 * GB}
    heavy = patient(on=on, service=service, weights={"forest": Weights(100 * GB)})
    assert "GPU GPU-1" in only(list(memory.check(heavy)), "error").what
    assert list(memory.check(patient(on=on, service=service, weights={"forest": Weights(10 * GB)}))) == []


def test_a_driver_too_old_for_the_packages() -> None:
    def on(driver: str, cuda: tuple[int, int]) -> dict[str, Any]:
        return {"gpus": (H200,), "driver": Versions(driver, cuda, 1), "packages": TORCH_124}

    found = only(list(gpu.check(patient(on=on("470.57.02", (11, 4))))), "error")
    assert "torch 2.6.0+cu124" in found.what
    assert "470.57.02" in found.what
    assert "/cu11" in found.mend
    assert list(gpu.check(patient(on=on("550.54.15", (12, 4))))) == []
    assert list(gpu.check(patient(on=on("470.57.02", (12, 4))))) == []  # cuda-compat is in use


def test_a_driver_that_was_updated() -> None:
    found = gpu.check(patient(on={"driver": Versions(mismatch=True), "loaded_driver": "550.54.15"}))
    assert "550.54.15" in only(list(found), "error").what


def test_a_build_for_the_cpu_beside_a_gpu() -> None:
    on = {"gpus": (H200,), "driver": Versions("570.26", (12, 8), 1), "packages": {"torch": "2.6.0+cpu"}}
    found = only(list(gpu.check(patient(on=on))), "warning")
    assert found.mend == "pip install --force-reinstall torch==2.6.0  # PyPI's is built for CUDA 12.4"
    assert list(gpu.check(patient(on={"packages": {"torch": "2.6.0+cpu"}}))) == []


def test_a_runner_that_wants_a_device() -> None:
    assert "docker run --gpus all" in only(list(gpu.check(patient(service=served(gpus=1)))), "error").mend
    assert list(gpu.check(patient(service=served(gpus=1), on={"gpus": (H200,)}))) == []


def test_cuda_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    on = {
        "gpus": (H200,),
        "driver": Versions("570.26", (12, 8), 1),
        "packages": {"onnxruntime-gpu": "1.20.1"},
    }
    monkeypatch.setattr(gpu, "system_libraries", lambda arch, environ: set())
    assert "pip install nvidia-cuda-runtime-cu12" in only(list(gpu.check(patient(on=on))), "error").mend
    newer = {**on, "packages": {"onnxruntime-gpu": "1.22.0"}}
    assert "onnxruntime-gpu[" in only(list(gpu.check(patient(on=newer))), "error").mend
    monkeypatch.setattr(gpu, "system_libraries", lambda arch, environ: {"libcudart.so.12"})
    assert list(gpu.check(patient(on=on))) == []


def test_a_device_named_twice() -> None:
    on = {"gpus_from": "CUDA_VISIBLE_DEVICES is '0,0' and names 0 twice: CUDA takes that for none at all"}
    assert only(list(gpu.check(patient(on=on))), "error").mend == "unset CUDA_VISIBLE_DEVICES"
