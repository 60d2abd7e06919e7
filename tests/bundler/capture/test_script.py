"""`python train.py` that builds a class of its own."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cells import service
from projects import write

import tiffin
from tiffin.errors import BuildError

CAPTURE = """
import pathlib
from tiffin.bundler.origin import origin_of
def look():
    with origin_of(Echo) as found:
        module = found.target.service.partition(":")[0]
        source = pathlib.Path(found.target.source, module + ".py").read_text()
        return source, found.generated, dict(found.provenance), list(found.notes)
"""


def run(path: Path) -> Any:
    """What the script's `SEEN` is: source, whether it was written for the build, provenance, notes."""
    return runpy.run_path(str(path), run_name="__main__")["SEEN"]


def test_what_the_script_has_executed_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    text = (
        "import tiffin\nimport help_of_script\n# tiffin: service\nclass Data:\n    x = 0\n"
        "rows = [Data() for _ in range(3)]\nMEAN = sum(row.x for row in rows)\nW = ['a']\n"
        + service("return W[0] + str(MEAN) + help_of_script.WORD + __name__")
        + CAPTURE
        + "if __name__ == '__main__':\n    try:\n        SEEN = look()\n    finally:\n        pass\n"
        "    W.append('b')\n    MEAN = 5\nraise_later = 1 + 1\n"
    )
    write(tmp_path, {"help_of_script.py": "WORD = 'w'\n", "train.py": text, "unused.py": "", "data.csv": "1"})
    source, generated, provenance, notes = run(tmp_path / "train.py")
    assert generated
    assert provenance == {"script": "train.py"}
    assert notes[0] == "source from train.py; the rest is left out"
    assert notes[1] == "modules beside it go along: help_of_script.py"
    assert '"""Captured from train.py by tiffin."""' in source
    assert "\n# train.py\nimport tiffin\n" in source
    assert "W = ['a']" in source
    for word in ("append", "MEAN = 5", "origin_of", "raise_later"):
        assert word not in source


def test_the_module_that_a_project_serves_is_built_as_a_project(tmp_path: Path) -> None:
    head = "import tiffin\n" + service("return text") + CAPTURE
    write(tmp_path, {"service.py": head + "if __name__ == '__main__':\n    SEEN = look()\n"})
    assert run(tmp_path / "service.py")[1] is False
    write(
        tmp_path / "named", {"main.py": head + "SEEN = look()\n", "bundlefile.yaml": "service: main:Echo\n"}
    )
    assert run(tmp_path / "named" / "main.py")[1] is False
    write(tmp_path / "other", {"main.py": head + "SEEN = look()\n"})
    assert run(tmp_path / "other" / "main.py")[1] is True


@pytest.mark.parametrize("call", ["tiffin.build(Echo)", "from tiffin import build as make\nmake(Echo)"])
def test_a_service_file_that_builds_whenever_it_is_imported_is_a_script(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiffin, "build", lambda _: None)
    text = "import tiffin\n" + service("return text") + CAPTURE + f"SEEN = look()\n{call}\n"
    write(tmp_path, {"service.py": text})
    assert run(tmp_path / "service.py")[1] is True


def test_a_script_that_was_changed_while_it_ran(tmp_path: Path) -> None:
    text = (
        "import tiffin\n" + service("return text") + CAPTURE + "path = pathlib.Path(__file__)\n"
        "path.write_text(path.read_text().replace('return text', 'return 1'))\nSEEN = look()\n"
    )
    write(tmp_path, {"train.py": text})
    with pytest.raises(BuildError, match=r"train\.py was changed while it ran: start it again"):
        run(tmp_path / "train.py")


def test_a_script_with_the_mark_of_windows(tmp_path: Path) -> None:
    text = "import tiffin\n" + service("return text") + CAPTURE + "SEEN = look()\n"
    (tmp_path / "train.py").write_text(text, encoding="utf-8-sig")
    assert run(tmp_path / "train.py")[0].startswith('"""Captured from train.py')


def test_what_comes_later_is_not_there(tmp_path: Path) -> None:
    text = "import tiffin\n" + service("return late()") + CAPTURE + "SEEN = look()\ndef late(): return 'a'\n"
    write(tmp_path, {"train.py": text})
    with pytest.raises(BuildError, match=r"late is defined nowhere in what train\.py has executed"):
        run(tmp_path / "train.py")


def test_a_process_of_its_own(tmp_path: Path) -> None:
    text = (
        "import tiffin\nprint('training')\nLOCK = open(__file__)\nWORD = LOCK.readline()\n"
        + service("return WORD")
        + "made = tiffin.build(Echo, lock=False)\nprint((made.path / 'src/service.py').read_text())\n"
    )
    write(tmp_path, {"train.py": text, "data.csv": "1"})
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, env={**os.environ, "TIFFIN_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training") == 1
    assert "WORD = 'import tiffin\\n'\n" in done.stdout
    assert done.stderr == ""
