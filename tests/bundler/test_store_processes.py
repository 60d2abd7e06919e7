from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tiffin.bundler import models

SAVE = """
from tiffin.bundler import models
for number in range(15):
    models.save("same", {"number": number, "who": WHO}.get)
    models.list()
"""


def test_two_processes_that_save_and_delete_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    processes = [
        subprocess.Popen([sys.executable, "-c", SAVE.replace("WHO", str(who))], cwd=tmp_path)
        for who in (1, 2)
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    saved = models.list("same")
    assert len({model.tag for model in saved}) == 30
    facts = [(model.load()("who"), model.load()("number")) for model in saved]
    assert sorted(facts) == [(who, number) for who in (1, 2) for number in range(15)]
    # Each saw its own order of time.
    for who in (1, 2):
        assert [number for one, number in facts if one == who] == list(range(15))
