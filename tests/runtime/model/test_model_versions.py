"""Which distribution brings a module: the same answer on every Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tiffin.runtime.model.versions import distributions_of, modules_of_distributions


@pytest.mark.parametrize("told", [True, False])
def test_a_wheel_that_setuptools_did_not_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """Such a one has no top_level.txt, and Python 3.10 itself looks nowhere else."""
    folder = tmp_path / "parcel_of_mine-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: parcel-of-mine\nVersion: 1.0\n")
    if told:
        (folder / "top_level.txt").write_text("parcel_code\n")
    record = "parcel_code/__init__.py,,\nparcel_code/deep/a.py,,\nparcel_of_mine-1.0.dist-info/METADATA,,\n"
    (folder / "RECORD").write_text(record)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert distributions_of(["parcel_code"]) == ["parcel-of-mine"]
    assert "parcel_of_mine-1" not in modules_of_distributions()


def test_libraries_that_are_here() -> None:
    assert distributions_of(["sklearn", "xgboost", "no_such_module"]) == ["scikit-learn", "xgboost"]
