"""Finding GPUs: the driver's library, its files, and `CUDA_VISIBLE_DEVICES`."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from fake_nvml import compiled

from tiffin.errors import ServerError
from tiffin.runtime.supervisor import gpu_files, nvml
from tiffin.runtime.supervisor.gpu import Gpu
from tiffin.runtime.supervisor.gpus import detect, visible

GIB = 1024**3
TWO = [Gpu("GPU-aaaa", "H200", 141 * GIB), Gpu("GPU-abcd", "H200", 141 * GIB)]
SLICED = [
    Gpu("GPU-aaaa", "H200"),
    Gpu("GPU-bbbb", "A100", instances=(Gpu("MIG-cccc", "A100 1g"), Gpu("MIG-dddd", "A100 3g"))),
]


def ids(machine: list[Gpu], text: str | None) -> list[str]:
    return [
        gpu.id for gpu in visible(machine, {} if text is None else {"CUDA_VISIBLE_DEVICES": text}).devices
    ]


def test_without_the_variable_all_devices_by_their_uuids() -> None:
    assert ids(TWO, None) == ["GPU-aaaa", "GPU-abcd"]


def test_a_device_in_mig_mode_counts_as_its_instances() -> None:
    assert ids(SLICED, None) == ["GPU-aaaa", "MIG-cccc", "MIG-dddd"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1", ["1"]),
        ("1, 0", ["1", "0"]),
        ("01", ["1"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("none", []),
        ("1,-1,0", ["1"]),
        ("0,2,1", ["0"]),
        ("GPU-aa", ["GPU-aa"]),
        ("GPU-a", []),
        ("GPU-zzzz", []),
    ],
)
def test_the_variable_is_read_as_cuda_reads_it(text: str, found: list[str]) -> None:
    assert ids(TWO, text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MIG-dddd,GPU-aaaa", ["MIG-dddd", "GPU-aaaa"]),
        ("MIG-GPU-bbbb/1/0", ["MIG-GPU-bbbb/1/0"]),
        ("MIG-eeee", []),
    ],
)
def test_instances_by_name(text: str, found: list[str]) -> None:
    assert ids(SLICED, text) == found


@pytest.mark.parametrize("text", ["0,2", "GPU-8932f937-d72c,MIG-1f2e"])
def test_without_a_driver_to_ask_the_variable_is_believed(text: str) -> None:
    assert ids([], text) == text.split(",")


def test_what_is_known_of_a_device_goes_along() -> None:
    assert visible(TWO, {"CUDA_VISIBLE_DEVICES": "1"}).devices == (Gpu("1", "H200", 141 * GIB),)
    assert visible(SLICED, {"CUDA_VISIBLE_DEVICES": "MIG-c"}).devices == (Gpu("MIG-c", "A100 1g"),)


def test_an_index_among_unequal_devices_tells_nothing_unless_the_order_is_fixed() -> None:
    assert visible(SLICED, {"CUDA_VISIBLE_DEVICES": "0"}).devices == (Gpu("0"),)
    ordered = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert visible(SLICED, ordered).devices == (Gpu("0", "H200"),)


def test_a_device_named_twice() -> None:
    with pytest.raises(ServerError, match="names 0 twice"):
        visible(TWO, {"CUDA_VISIBLE_DEVICES": "0,1,0"})


def test_why_there_are_not_more() -> None:
    assert visible([], {}).source == "no NVIDIA driver was found"
    short = visible(TWO, {"CUDA_VISIBLE_DEVICES": "0,7"})
    assert short.source == "CUDA_VISIBLE_DEVICES is '0,7', and 7 is none of the 2 here"
    assert visible(TWO, {"CUDA_VISIBLE_DEVICES": "-1"}).source == "CUDA_VISIBLE_DEVICES is '-1'"


# the driver's files


def board(root: Path, bus: str, minor: int, uuid: str, *, usable: bool = True) -> None:
    folder = root / "proc/driver/nvidia/gpus" / bus
    folder.mkdir(parents=True)
    (folder / "information").write_text(
        f"Model: \t\t NVIDIA H200\nIRQ:   \t\t 123\nGPU UUID: \t {uuid}\n"
        f"Bus Location: \t {bus}\nDevice Minor: \t {minor}\nGPU Excluded:\t No\n"
    )
    (root / "dev").mkdir(exist_ok=True)
    if usable:
        (root / f"dev/nvidia{minor}").touch()


def test_the_drivers_files(tmp_path: Path) -> None:
    board(tmp_path, "0000:65:00.0", 0, "GPU-1111")
    board(tmp_path, "0000:17:00.0", 1, "GPU-2222")
    assert gpu_files.read(tmp_path) == [Gpu("GPU-2222", "NVIDIA H200"), Gpu("GPU-1111", "NVIDIA H200")]


def test_a_container_without_the_device_file_may_not_use_it(tmp_path: Path) -> None:
    board(tmp_path, "0000:17:00.0", 0, "GPU-1111", usable=False)
    board(tmp_path, "0000:65:00.0", 1, "GPU-2222")
    assert [gpu.id for gpu in gpu_files.read(tmp_path)] == ["GPU-2222"]


def test_a_uuid_that_the_driver_does_not_know_yet(tmp_path: Path) -> None:
    board(tmp_path, "0000:17:00.0", 0, "GPU-????????-????-????-????-????????????")
    assert [gpu.id for gpu in gpu_files.read(tmp_path)] == ["0"]


def test_no_driver(tmp_path: Path) -> None:
    assert gpu_files.read(tmp_path) == []
    assert detect({}, tmp_path).devices == ()


def test_files_and_variable_together(tmp_path: Path) -> None:
    board(tmp_path, "0000:17:00.0", 0, "GPU-1111")
    assert [gpu.id for gpu in detect({"CUDA_VISIBLE_DEVICES": "GPU-1,3"}, tmp_path).devices] == ["GPU-1"]


# the driver's library


def test_the_library(tmp_path: Path) -> None:
    path = compiled(tmp_path)
    if path is None:
        pytest.skip("no C compiler")
    library = ctypes.CDLL(str(path))
    assert nvml.read(library) == [
        Gpu("GPU-aaaa", "NVIDIA H200", GIB),
        Gpu(
            "GPU-bbbb",
            "NVIDIA A100",
            2 * GIB,
            (Gpu("MIG-cccc", "A100 MIG 1g.10gb"), Gpu("MIG-dddd", "A100 MIG 3g.40gb", 4 * GIB)),
        ),
    ]
    assert library.still_running() == 0


def test_a_library_without_a_driver(tmp_path: Path) -> None:
    path = compiled(tmp_path, init=9)
    if path is None:
        pytest.skip("no C compiler")
    assert nvml.read(ctypes.CDLL(str(path))) is None
