"""Names longer than a file system takes: a paste that went wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tiffin
from tiffin.cli.main import root
from tiffin.errors import ConfigError

LONG = "a" * 300


@pytest.mark.parametrize("verb", ["build", "doctor", "init", "client --lang python"])
@pytest.mark.parametrize("ending", ["", ":Service", ".py:Service", "/service.py"])
def test_a_target(
    verb: str,
    ending: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        root.main([*verb.split(), LONG + ending], prog_name="bundle")
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert "…: 3" in said
    assert "characters are too many for a name; give a folder, a file, module:Class or a tag" in said
    assert list(tmp_path.iterdir()) == []


def test_a_target_of_serve(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tiffin", "serve", LONG]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "300 characters are too many for a name" in done.stderr


def test_from_python() -> None:
    with pytest.raises(ConfigError, match="are too many for a name"):
        tiffin.build(LONG)
