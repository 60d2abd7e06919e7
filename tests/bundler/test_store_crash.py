"""kill -9 at any moment leaves the old state or the new one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from tiffin.bundler import models

ROUNDS = 200
SAVER = Path(__file__).parents[1] / "support" / "model_saver.py"


@pytest.mark.chaos
@pytest.mark.slow
def test_200_kills_leave_no_half_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    chance = random.Random(7)
    checked: set[str] = set()
    leftovers = 0
    longest_s = 0.1
    with subprocess.Popen(
        [sys.executable, str(SAVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as saver:
        assert saver.stdin is not None and saver.stdout is not None
        for _ in range(ROUNDS):
            saver.stdin.write("go\n")
            saver.stdin.flush()
            pid = int(saver.stdout.readline())
            time.sleep(chance.uniform(0.0, longest_s))  # the moment of death is the experiment
            os.kill(pid, signal.SIGKILL)
            assert saver.stdout.readline() == "gone\n"
            temporary = tmp_path / "models" / ".tmp"
            leftovers += len(list(temporary.glob("*"))) if temporary.exists() else 0
            known = len(checked)
            for model in models.list():
                if str(model.tag) not in checked:
                    blob = model.load()  # verifies every digest
                    assert zlib.crc32(blob.payload) == blob.check
                    checked.add(str(model.tag))
            assert not temporary.exists() or not list(temporary.iterdir()), "the next command sweeps"
            longest_s *= 0.95 if len(checked) > known else 1.04  # some saves end, however slow the machine
        saver.stdin.close()
        saver.wait(60)
    for model in models.list():
        model.verify()
    # Otherwise the kills came at harmless moments and this test has shown nothing.
    assert leftovers > ROUNDS / 4
    assert len(checked) > ROUNDS / 4
