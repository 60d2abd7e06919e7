"""What an image says at its start about the driver that it found."""

from __future__ import annotations

import ctypes
import logging
from pathlib import Path

import pytest
from fake_nvml import compiled

from tiffin.runtime import cuda_check
from tiffin.runtime.cuda_check import Seen, Verdict, check, judge, look
from tiffin.runtime.supervisor.nvml import Versions, versions

IMAGE = {
    "TIFFIN_CUDA": "12.4",
    "TIFFIN_CUDA_DRIVER": "525.60.13",
    "TIFFIN_CUDA_OWN_DRIVER": "550.54.14",
    "NVIDIA_VISIBLE_DEVICES": "all",
}
KERNEL_MODULE = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.182.03  Fri Feb 24 03:29:56 UTC 2023\n"
    "GCC version:  gcc version 9.4.0\n"
)
OPEN_MODULE = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder)\n"
)


def seen(
    driver: str, cuda: tuple[int, int] | None = None, *, devices: int = 1, compatibility: bool = False
) -> Seen:
    return Seen(Versions(driver, cuda, devices), driver, control=True, compatibility=compatibility)


def warned(environ: dict[str, str], found: Seen) -> str:
    verdict = judge(environ, found)
    assert verdict is not None
    assert verdict.level == logging.WARNING
    return verdict.text


@pytest.mark.parametrize("driver", ["550.54.14", "550.54.15", "580.65.06", "1000.1"])
def test_a_driver_as_new_as_the_toolkit_needs_no_word(driver: str) -> None:
    assert judge(IMAGE, seen(driver)) is None


def test_an_image_that_uses_no_gpu_is_not_looked_at() -> None:
    assert judge({}, Seen()) is None


def test_no_driver_at_all_names_what_to_install_and_how_to_start() -> None:
    text = warned(IMAGE, Seen())
    assert "no driver of NVIDIA's is visible" in text
    assert "525.60.13 or newer" in text
    assert "nvidia-container-toolkit" in text
    assert "docker run --gpus all" in text


def test_a_machine_with_a_driver_whose_container_got_no_gpu() -> None:
    text = warned(IMAGE, Seen(loaded="550.54.14"))
    assert "a driver for (550.54.14)" in text
    assert "docker run --gpus all" in text
    assert "install the driver" not in text


def test_a_driver_without_a_device() -> None:
    assert "none of its GPUs" in warned(IMAGE, seen("550.54.14", devices=0))


@pytest.mark.parametrize(
    ("driver", "needed", "toolkit"),
    [
        ("470.182.03", "525.60.13", "12.4"),
        ("525.60.12", "525.60.13", "12.8"),
        ("575.57.08", "580.65.06", "13.0"),
    ],
)
def test_a_driver_of_an_older_family_is_too_old(driver: str, needed: str, toolkit: str) -> None:
    environ = {**IMAGE, "TIFFIN_CUDA": toolkit, "TIFFIN_CUDA_DRIVER": needed}
    text = warned(environ, seen(driver, (11, 4)))
    assert f"{driver} is too old for CUDA {toolkit}, which needs {needed} or newer" in text
    assert "LD_LIBRARY_PATH" not in text


def test_the_libraries_for_forward_compatibility_are_named_where_they_are() -> None:
    assert "LD_LIBRARY_PATH=/usr/local/cuda/compat" in warned(
        IMAGE, seen("470.1", (11, 4), compatibility=True)
    )


def test_an_old_driver_does_with_the_libraries_for_forward_compatibility() -> None:
    assert judge(IMAGE, seen("470.182.03", (12, 4))) is None


def test_minor_version_compatibility_is_told_to_whoever_reads_the_log() -> None:
    verdict = judge(IMAGE, seen("525.60.13", (12, 0)))
    assert verdict is not None
    assert verdict.level == logging.INFO
    assert "525.60.13 is older than that of CUDA 12.4 (550.54.14)" in verdict.text


def test_a_driver_that_was_updated_under_the_container() -> None:
    text = warned(IMAGE, Seen(Versions(mismatch=True), "580.65.06", control=True))
    assert "another version than the driver that is loaded (580.65.06)" in text
    assert "restart" in text


@pytest.mark.parametrize("value", ["none", "void", ""])
def test_who_asks_for_no_gpu_gets_no_word(value: str) -> None:
    assert judge({**IMAGE, "NVIDIA_VISIBLE_DEVICES": value}, Seen(loaded="550.54.14")) is None
    # The container toolkit leaves `void` where it has given the devices in another way.
    assert "too old" in warned({**IMAGE, "NVIDIA_VISIBLE_DEVICES": value}, seen("470.1"))


@pytest.mark.parametrize("value", ["-1", "", "NoDevFiles"])
def test_cuda_is_told_to_use_none(value: str) -> None:
    assert judge({**IMAGE, "CUDA_VISIBLE_DEVICES": value}, Seen()) is None


def test_without_the_library_the_kernel_module_tells_the_version() -> None:
    assert "470.182.03 is too old" in warned(IMAGE, Seen(loaded="470.182.03", control=True))


def test_what_is_not_known_is_not_compared() -> None:
    assert judge(IMAGE, Seen(control=True)) is None
    assert judge({"TIFFIN_CUDA": "15.0"}, seen("470.1")) is None


@pytest.mark.parametrize(
    ("text", "version"), [(KERNEL_MODULE, "470.182.03"), (OPEN_MODULE, "580.65.06"), ("?", "")]
)
def test_files_of_the_driver(tmp_path: Path, text: str, version: str) -> None:
    folder = tmp_path / "proc/driver/nvidia"
    folder.mkdir(parents=True)
    (folder / "version").write_text(text)
    assert look(tmp_path) == Seen(loaded=version)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    compat = tmp_path / "usr/local/cuda/compat"
    compat.mkdir(parents=True)
    (compat / "libcuda.so.550.54.15").touch()
    assert look(tmp_path) == Seen(loaded=version, control=True, compatibility=True)


def test_a_machine_without_anything(tmp_path: Path) -> None:
    assert look(tmp_path) == Seen()


def loaded(folder: Path, *, init: int = 0, cuda: int = 12040) -> ctypes.CDLL:
    library = compiled(folder, init=init, cuda=cuda)
    if library is None:
        pytest.skip("no C compiler")
    return ctypes.CDLL(str(library))


def test_the_library_tells_the_driver_and_what_libcuda_runs(tmp_path: Path) -> None:
    library = loaded(tmp_path)
    assert versions(library) == Versions("550.54.15", (12, 4), 2)
    assert library.still_running() == 0


def test_without_libcuda(tmp_path: Path) -> None:
    assert versions(loaded(tmp_path, cuda=0)) == Versions("550.54.15", None, 2)


def test_the_library_of_another_driver(tmp_path: Path) -> None:
    assert versions(loaded(tmp_path, init=18)) == Versions(mismatch=True)


def test_a_driver_that_is_not_loaded(tmp_path: Path) -> None:
    assert versions(loaded(tmp_path, init=9)) is None


def test_check_says_it_once_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in IMAGE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(cuda_check, "look", lambda: Seen(loaded="470.182.03", control=True))
    with caplog.at_level(logging.INFO):
        check(logging.getLogger("test"))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.cuda == "12.4"  # type: ignore[attr-defined]
    assert record.getMessage() == judge(IMAGE, Seen(loaded="470.182.03", control=True)).text  # type: ignore[union-attr]


def test_check_does_not_even_look_in_an_image_for_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> Seen:
        raise AssertionError("looked")

    monkeypatch.delenv("TIFFIN_CUDA", raising=False)
    monkeypatch.setattr(cuda_check, "look", refuse)
    check(logging.getLogger("test"))
    assert not caplog.records


def test_a_verdict_has_one_line() -> None:
    verdicts = [judge(IMAGE, found) for found in (Seen(), Seen(loaded="1.2"), seen("470.1"), seen("530.1"))]
    assert all(isinstance(verdict, Verdict) and "\n" not in verdict.text for verdict in verdicts)
