"""Folders that platforms mount."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiffin.runtime.platforms import model_folder
from tiffin.runtime.platforms.model_folder import Found, look


@pytest.fixture
def fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    found = (tmp_path / "opt/ml/model", tmp_path / "mnt/models")
    monkeypatch.setattr(model_folder, "MOUNTED", found)
    return found


def put(folder: Path, file: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text("")
    return folder


def test_none_is_there(fixed: tuple[Path, Path]) -> None:
    assert look({}) is None
    fixed[0].mkdir(parents=True)
    assert look({}) is None


def test_models_and_bundles(fixed: tuple[Path, Path]) -> None:
    put(fixed[1] / "iris" / "1", "model.yaml")
    assert look({}) == Found(fixed[1], bundle=False)
    put(fixed[0] / "iris", "bundle.yaml")
    assert look({}) == Found(fixed[0] / "iris", bundle=True)


@pytest.mark.parametrize("name", ["AZUREML_MODEL_DIR", "AIP_STORAGE_URI", "TIFFIN_MODEL_DIR"])
def test_a_named_folder_comes_first(fixed: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    put(fixed[0], "model.yaml")
    named = put(tmp_path / "named folder", "model.yaml")
    assert look({name: str(named)}) == Found(named, bundle=False)
    if name == "AIP_STORAGE_URI":
        assert look({name: named.as_uri()}) == Found(named, bundle=False)


def test_a_chosen_folder_is_the_only_one(fixed: tuple[Path, Path], tmp_path: Path) -> None:
    put(fixed[0], "model.yaml")
    assert look({"TIFFIN_MODEL_DIR": str(tmp_path / "missing")}) is None


def test_what_is_no_folder_is_said(fixed: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    """Vertex AI names a bucket and downloads nothing."""
    put(fixed[0], "model.yaml")
    assert look({"AIP_STORAGE_URI": "gs://bucket/model"}) == Found(fixed[0], bundle=False)
    assert "gs://bucket/model is not downloaded" in caplog.text


def test_other_files_are_said(fixed: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    put(fixed[0], "weights.bin")
    with caplog.at_level("INFO"):
        assert look({}) is None
    assert "neither a bundle nor a model" in caplog.text
