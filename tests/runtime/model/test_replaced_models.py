"""A model from a mounted folder takes the place of the bundled one."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

import tiffin
from tiffin.errors import ConfigError, IntegrityError, NotFoundError
from tiffin.runtime.manifest import BundleInfo, RunnerSpec, ServiceSpec
from tiffin.runtime.model import find as finding
from tiffin.runtime.model.replaced import check_replaced, replaced


class Adder:
    def __init__(self, number: float, width: int = 2) -> None:
        self.number = number
        self.width = width

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x + self.number


def save(number: float, width: int = 2, name: str = "adder", method: str = "predict") -> tiffin.Model:
    cls = type("Adder", (Adder,), {method: Adder.predict})
    example = np.zeros((2, width), np.float32)
    return tiffin.models.save(name, cls(number, width), methods=[method], example=example)


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with adder + 1 is served; the folder that is mounted is still empty."""
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    model = save(1)
    shutil.copytree(tmp_path / "home" / "models", tmp_path / "bundle" / "models")
    monkeypatch.setenv("TIFFIN_BUNDLE", str(tmp_path / "bundle"))
    folder = tmp_path / "mounted"
    folder.mkdir()
    monkeypatch.setenv("TIFFIN_MODEL_DIR", str(folder))
    assert model.tag.name == "adder"
    return folder


def bundle() -> BundleInfo:
    model = finding.shelf().resolve("adder")
    info = tiffin.Model(finding.shelf().path(model), model).info
    runner = RunnerSpec(name="adder", model=str(model), methods=info.methods)
    return BundleInfo(
        name="it",
        version="1",
        created="",
        digest="",
        service=ServiceSpec(name="it", cls="service:It", runners=[runner]),
        models=[str(model)],
    )


@pytest.mark.parametrize("below", ["", "adder", "adder/1"])
def test_it_is_used_for_every_tag_of_its_name(
    mounted: Path, below: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tag = finding.shelf().resolve("adder")
    new = save(5)
    shutil.copytree(new.path, mounted / below, dirs_exist_ok=True)
    for asked in ("adder", "adder:latest", str(tag)):
        model = finding.find(asked)
        assert model.tag == new.tag
        assert model.load().predict(np.zeros(1)).tolist() == [5]
    with caplog.at_level(logging.INFO):
        check_replaced(bundle())
    assert f"{new.tag} takes the place of {tag}" in caplog.text
    monkeypatch.delenv("TIFFIN_MODEL_DIR")
    assert finding.find("adder").tag == tag


def test_the_last_version_is_used(mounted: Path) -> None:
    for number in (5, 6):
        model = save(number)
        shutil.copytree(model.path, mounted / "adder" / model.tag.version)
    assert finding.find("adder").load().number == 6


def test_only_models_of_the_bundle(mounted: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = save(5, name="other")
    shutil.copytree(other.path, mounted / "other")
    with pytest.raises(NotFoundError):
        finding.find("other")
    check_replaced(bundle())
    assert "it is not used" in caplog.text


def test_outside_of_a_bundle_it_means_nothing(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(save(5).path, mounted / "adder")
    newest = save(6)
    monkeypatch.delenv("TIFFIN_BUNDLE")
    assert finding.find("adder").tag == newest.tag


def test_it_must_take_what_the_bundled_one_takes(mounted: Path) -> None:
    wide = save(5, width=3)
    shutil.copytree(wide.path, mounted / "adder")
    with pytest.raises(ConfigError, match=r"'predict' takes float32\['n', 3\].*gives float32\['n', 2\]"):
        check_replaced(bundle())
    shutil.rmtree(mounted / "adder")
    shutil.copytree(save(5, method="guess").path, mounted / "adder")
    with pytest.raises(ConfigError, match="calls 'predict', it has guess"):
        check_replaced(bundle())


def test_damaged_bytes_are_refused(mounted: Path) -> None:
    shutil.copytree(save(5).path, mounted / "adder")
    for file in (mounted / "adder").iterdir():
        if file.is_file() and file.name != "model.yaml":
            file.chmod(0o644)
            file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(IntegrityError, match="damaged"):
        finding.find("adder").load()
    manifest = mounted / "adder" / "model.yaml"
    manifest.chmod(0o644)
    manifest.write_text("name: adder")
    with pytest.raises(IntegrityError):
        check_replaced(bundle())


def test_a_folder_that_is_not_there(mounted: Path) -> None:
    mounted.rmdir()
    with pytest.raises(ConfigError, match="TIFFIN_MODEL_DIR="):
        replaced()
