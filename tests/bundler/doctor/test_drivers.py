"""`bundle doctor` beside NVIDIA's library of several drivers: the real command, a library compiled for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_nvml import compiled

TORCH = "https://download.pytorch.org/whl"


def doctor(folder: Path, packages: dict[str, str], **board: Any) -> list[dict[str, str]]:
    """Findings of the check `gpu`."""
    if compiled(folder, **board) is None:
        pytest.skip("there is no C compiler here")
    for name, version in packages.items():
        info = folder / "packages" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    path = os.pathsep.join(filter(None, [str(folder / "packages"), os.environ.get("PYTHONPATH", "")]))
    variables = {"LD_LIBRARY_PATH": str(folder), "TIFFIN_HOME": str(folder / "home"), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "tiffin", "doctor", "--json"],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    findings: list[dict[str, str]] = json.loads(done.stdout)["findings"]
    return [each for each in findings if each["check"] == "gpu" and "torch" in each["what"]]


@pytest.mark.parametrize(
    ("driver", "cuda", "torch", "mend"),
    [
        ("550.163.01", 12040, "2.6.0+cpu", "torch==2.6.0  # PyPI's is built for CUDA 12.4"),
        ("550.163.01", 12040, "2.13.0+cpu", f"torch --index-url {TORCH}/cu126"),  # PyPI's wants 13.0
        ("570.211.01", 12080, "2.9.1+cpu", "torch==2.9.1  # PyPI's is built for CUDA 12.8"),
        ("580.95.05", 13000, "2.13.0+cpu", "torch==2.13.0  # PyPI's is built for CUDA 13.0"),
        ("580.95.05", 13000, "2.15.0+cpu", "torch==2.15.0  # PyPI's is built for CUDA 13.2"),
    ],
)
def test_a_build_for_the_cpu(tmp_path: Path, driver: str, cuda: int, torch: str, mend: str) -> None:
    """A release of CUDA that PyTorch has no build for is never named: there is no cu125 and no cu131."""
    (found,) = doctor(tmp_path, {"torch": torch}, driver=driver, cuda=cuda, boards=1)
    assert (found["severity"], found["mend"]) == ("warning", f"pip install --force-reinstall {mend}")


@pytest.mark.parametrize(
    ("driver", "cuda", "needs", "older"),
    [("550.163.01", 12040, "580", "cu126"), ("470.57.02", 11040, "580", "cu118")],
)
def test_packages_for_a_newer_driver(tmp_path: Path, driver: str, cuda: int, needs: str, older: str) -> None:
    (found,) = doctor(tmp_path, {"torch": "2.13.0"}, driver=driver, cuda=cuda, boards=1)
    assert found["severity"] == "error"
    assert f"this is {driver}" in found["what"]
    assert f"nvidia-driver-{needs}" in found["mend"]
    assert found["mend"].endswith(f"# or: pip install torch --index-url {TORCH}/{older}")


def test_a_machine_with_instances_where_all_fits(tmp_path: Path) -> None:
    """One board plain, one in MIG mode."""
    assert doctor(tmp_path, {"torch": "2.13.0"}, driver="580.95.05", cuda=13000, boards=2) == []
