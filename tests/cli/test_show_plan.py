"""`bundle show --plan`"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import adder_project, write

import tiffin

SERVICE = """
import numpy as np
import tiffin

print("imported")

class Net:
    def run(self, x: int) -> int:
        return x

@tiffin.service
class Many:
    net = tiffin.runner(Net, workers={"max": 4}, threads=3, GPUS, models=["table:latest"])
    @tiffin.api
    async def f(self, x: int) -> int:
        return await self.net.run(x)
"""


class Table:
    def __init__(self) -> None:
        self.rows = np.ones(100_000)

    def predict(self, x: int) -> int:
        return x


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.chdir(tmp_path)
    tiffin.models.save("table", Table(), methods=["predict"], example=1)
    return write(tmp_path, {"service.py": SERVICE.replace("GPUS", "gpus=0")})


def bundle(*arguments: str, code: int = 0, **environ: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tiffin", "show", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def plan(*arguments: str, **environ: str) -> Any:
    return json.loads(bundle("--plan", *arguments, "--json", **environ)[0])


@pytest.mark.usefixtures("project")
def test_workers_cores_and_memory() -> None:
    found = plan()
    net = found["runners"]["net"]
    assert (net["workers"], net["least"], net["most"], net["threads"]) == (1, 1, 4, 3)
    assert net["shared_bytes"] > 800_000
    own = net["weights_bytes"] - net["shared_bytes"]
    assert 0 < own < 10_000
    assert net["memory_bytes"] == net["shared_bytes"] + 4 * own
    assert net["devices"] == [[]] * 4
    out, err = bundle("--plan")
    row = next(line for line in out.splitlines() if line.startswith("net"))
    assert "1 (1 to 4 by load)" in row and f"12 of {found['cores']:g}" in row
    assert "imported" not in out, "what the service prints is no part of the plan"
    if found["cores"] < 12:
        assert "12 threads of workers (net 4 × 3) share" in err


def test_devices(project: Path) -> None:
    write(project, {"service.py": SERVICE.replace("GPUS", "gpus=0.5")})
    found = plan(CUDA_VISIBLE_DEVICES="GPU-aa,GPU-bb")
    assert found["runners"]["net"]["devices"] == [["GPU-aa"], ["GPU-aa"], ["GPU-bb"], ["GPU-bb"]]
    assert [gpu["id"] for gpu in found["gpus"]] == ["GPU-aa", "GPU-bb"]
    out, _ = bundle("--plan", CUDA_VISIBLE_DEVICES="GPU-aa,GPU-bb")
    assert "0.5 each: GPU-aa, GPU-aa, GPU-bb, GPU-bb" in out
    _, err = bundle("--plan", code=1, CUDA_VISIBLE_DEVICES="GPU-aa")
    assert (
        "the workers need 2 GPUs (net 4 × 0.5), here are 1: GPU-aa (CUDA_VISIBLE_DEVICES is 'GPU-aa')" in err
    )
    assert len(plan("--workers", "net=2", CUDA_VISIBLE_DEVICES="GPU-aa")["runners"]["net"]["devices"]) == 2


def test_a_bundle(project: Path) -> None:
    adder_project(project / "adder")
    subprocess.run(
        [sys.executable, "-m", "tiffin", "build", str(project / "adder"), "--no-lock"],
        check=True,
        capture_output=True,
    )
    found = plan("adder:latest", "--processes", "2")
    assert found["title"].startswith("adder:")
    assert found["runners"]["adder"]["weights_bytes"] > 0
    assert found["processes"] == 2


@pytest.mark.usefixtures("project")
def test_wrong_use() -> None:
    assert "name a bundle" in bundle(code=2)[1]
    assert "belong to --plan" in bundle("x", "--workers", "net=2", code=2)[1]
    assert "has no such runner; it has: net" in bundle("--plan", "--workers", "nett=2", code=2)[1]
    assert "nothing to serve at 'nowhere'" in bundle("--plan", "nowhere", code=2)[1]
