"""Every example from training to answers, through the real commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SAYS = {
    "iris_sklearn": ["classify       ['setosa', 'versicolor', 'virginica']"],
    "cancer_xgboost": [
        "truth benign     answer {'label': 'benign'",
        "truth malignant  answer {'label': 'malignant'",
    ],
    "digits_torch": ["truth 3  answer {'digit': 3", "ten at once, as .npy: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"],
    "ragged_text": [
        "answer the value is a list",
        "the same in one call: True",
        "too long: 422 a row of length 1025 is longer than network.predict takes: 1024 at most",
    ],
    "two_stage": ["answer ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']"],
}


def test_every_example_is_listed() -> None:
    assert sorted(SAYS) == sorted(path.parent.name for path in EXAMPLES.glob("*/bundlefile.yaml"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(SAYS))
def test_example(name: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / "run.py"), name],
        env={**os.environ, "TIFFIN_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for line in SAYS[name]:
        assert line in run.stdout, run.stdout
    assert "server stopped, exit code 0" in run.stdout
