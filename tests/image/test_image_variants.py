"""Other bases and packages than those of the iris example, and the command that runs images."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from boxes import Box, ask
from built_image import Built, Make

import tiffin
from tiffin.bundler import bundles
from tiffin.bundler.containerize import dockerfile_of
from tiffin.bundler.python.lockfile import read_lock

EXAMPLES = Path(__file__).parents[2] / "examples"
FLOWERS = {"flowers": [[5.1, 3.5, 1.4, 0.2]]}
HARD = ["--read-only", "--tmpfs", "/tmp", "--user", "12345"]


@pytest.fixture(scope="module")
def digits(home: Path, engine: str, make: Make, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("digits") / "project"
    shutil.copytree(EXAMPLES / "digits_torch", folder)
    subprocess.run([sys.executable, "train.py"], cwd=folder, check=True)
    import torch

    if "+cpu" in torch.__version__:  # else the lock has gigabytes of CUDA from PyPI
        requirements = folder / "requirements.txt"
        pinned = re.sub(r"(?m)^torch$", f"torch=={torch.__version__}", requirements.read_text())
        requirements.write_text(pinned)
    return make(engine, tiffin.build(folder, lock=True))


def test_torch(digits: Built) -> None:
    with Box(digits.program, digits.name, options=HARD) as box:
        box.wait_until_ready()
        called = subprocess.run(
            [sys.executable, str(EXAMPLES / "digits_torch" / "call.py"), box.url],
            check=False,
            capture_output=True,
            text=True,
        )
        assert called.returncode == 0, called.stderr
        code, _ = box.stop(60)
        assert code == 0


def test_a_lock_for_another_platform(engines: list[str], iris: Path, tmp_path: Path) -> None:
    """Resolved by uv itself, with the hashes of the index: exactly what that platform installs."""
    project = tmp_path / "project"
    shutil.copytree(iris, project)
    with (project / "requirements.txt").open("a") as requirements:
        requirements.write("\ncolorama; platform_machine == 'aarch64'\n")
    bundle = tiffin.build(project, platforms=["linux/amd64", "linux/arm64"])
    locks = {path.name: read_lock(path.read_text()) for path in (bundle.path / "env/python").glob("*.lock")}
    names = {name: {package.name for package in packages} for name, packages in locks.items()}
    (other,) = set(locks) - {"requirements.lock"}
    arm = other if "arm64" in other else "requirements.lock"
    amd = next(name for name in locks if name != arm)
    assert names[arm] - names[amd] == {"colorama"}
    assert "scikit-learn" in names[amd]
    assert all(package.hashes for packages in locks.values() for package in packages)
    text = dockerfile_of(bundle, platform="linux/arm64")
    assert f"uv pip sync --require-hashes {arm}" in text


def test_cuda_with_a_python_of_its_own(docker: str, make: Make, iris_bundle: bundles.Bundle) -> None:
    """The base has no Python: uv brings it. There is no GPU here, which the server outlives."""
    built = make(docker, iris_bundle, cuda="12.8")
    assert built.image.base.startswith("nvidia/cuda:12.8")
    assert "--gpus all" in built.image.run
    with Box(built.program, built.name, options=HARD) as box:
        box.wait_until_ready()
        assert box.post("/classify", FLOWERS).json() == ["setosa"]
        assert box.run("readlink -f /opt/venv/bin/python").startswith("/opt/python/")


def test_bundle_run(docker: str, make: Make, iris_bundle: bundles.Bundle) -> None:
    built = make(docker, iris_bundle)
    command = [sys.executable, "-m", "tiffin", "run", built.name, "--port", "0", "--engine", docker]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = next(
                found[1] for line in process.stdout if (found := re.search(r"url\s+(http://\S+)", line))
            )
            assert httpx.post(f"{url}/classify", json=FLOWERS, timeout=30).json() == ["setosa"]
            container = next(line.split()[1] for line in process.stdout if "container" in line)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert "Stopping: requests in hand have 40 s" in err
    assert "POST /classify 200" in err, "its log was shown"
    assert ask(docker, "ps", "--all", "--quiet", "--filter", f"id={container}") == ""
