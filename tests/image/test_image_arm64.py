"""An image for arm64, built and run by an emulated processor, in minutes: `make test-image ARM64=1`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from arm64_roots import emulated
from boxes import Box
from stand_ins import CannotStandInError, images_of, stand_in

import tiffin
from tiffin.bundler.containerize import containerize, dockerfile_of

VARIABLE = "TIFFIN_TEST_ARM64"
PLATFORM = "linux/arm64"
FLOWERS = {"flowers": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}
STORE = '[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of podman, for this test: a name stands for one platform in it, and the others' images are amd64."""
    folder = tmp_path / "store"
    folder.mkdir()
    conf = tmp_path / "storage.conf"
    conf.write_text(STORE.format(folder=folder))
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(conf))
    yield folder
    subprocess.run(["podman", "rmi", "--all", "--force"], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(3600)
def test_iris_on_arm64(engines: list[str], home: Path, iris: Path, store: Path) -> None:
    if not os.environ.get(VARIABLE):
        pytest.skip(f"it takes minutes: make test-image ARM64=1, or {VARIABLE}=1")
    if reason := emulated():
        pytest.skip(reason)
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed, which has a store for this test alone")
    bundle = tiffin.build(iris, platforms=[PLATFORM])
    try:
        stand_in("podman", images_of(dockerfile_of(bundle, platform=PLATFORM)), arch="arm64")
    except CannotStandInError as error:
        pytest.skip(f"there are no images to build on: {error}")
    image = containerize(bundle, engine="podman", platform=PLATFORM, network="host")
    print(f"{image.platform}: built in {image.seconds} s")
    assert (image.platform, image.warnings) == (PLATFORM, [])
    hard = ["--platform", PLATFORM, "--read-only", "--tmpfs", "/tmp", "--user", "12345"]
    with Box("podman", image.tags[0], options=hard) as box:
        box.wait_until_ready(limit_s=900)
        assert box.post("/classify", FLOWERS).json() == ["setosa", "virginica"]
        assert box.run("python -c 'import platform; print(platform.machine())'") == "aarch64"
        assert box.stop(120)[0] == 0
