"""Bundles of live sessions: IPython, and a prompt that keeps no source."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy
import pytest
from cells import execute, service

from tiffin.bundler.capture.origin import is_of_session
from tiffin.bundler.capture.values import Values
from tiffin.errors import BuildError, ConfigError, ModelError
from tiffin.runtime import captured

BUILD = """
made = tiffin.build(Echo, lock=False)
import json
print(json.dumps([made.info.service.cls, made.info.options["notes"], made.info.provenance["notebook"],
    [runner.cls for runner in made.info.service.runners], (made.path / "src/service.py").read_text(),
    (made.path / "env/python/requirements.in").read_text()]))
"""
RUNNER = (
    "class Add:\n    def __init__(self, n): self.n = n\n    def add(self, x: int) -> int: return x + self.n\n"
)
SERVICE = """
SCALE = np.float32(2)
def helper(x): return x * SCALE

@tiffin.service(timeout_s=7)
class Echo:
    add = tiffin.runner(Add, n=1, workers={"min": 1, "max": 2})
    @tiffin.api
    async def say(self, x: int) -> float:
        return float(helper(await self.add.add(x)))
"""


def run(folder: Path, code: str, *options: str, given: str = "") -> list[object]:
    environment = {**os.environ, "TIFFIN_HOME": str(folder / "home"), "IPYTHONDIR": str(folder / "ipython")}
    done = subprocess.run(
        [sys.executable, *options, "-c", code], cwd=folder, env=environment, input=given,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_a_prompt_without_source_goes_by_value(tmp_path: Path) -> None:
    code = f"import numpy as np, tiffin\n{RUNNER}{SERVICE}{BUILD}"
    name, notes, where, runners, text, wanted = run(
        tmp_path, "import sys; exec(sys.stdin.read(), globals())", given=code
    )
    assert name == "service:Echo"
    assert runners == ["service:Add"]
    assert where == {"path": "a session", "cells": []}
    assert text.endswith('Add = _value(__name__, "Add")\nEcho = _value(__name__, "Echo")\n')  # type: ignore[attr-defined]
    (note,) = notes  # type: ignore[misc]
    assert note.startswith("by cloudpickle, for want of source that can be run again: Add (class, ")
    assert f"loads with python {sys.version.split()[0]}, cloudpickle " in note
    assert f"\nnumpy=={numpy.__version__}\n" in wanted  # type: ignore[operator]
    (facts,) = (tmp_path / "home" / "bundles" / "echo").glob("*/src/captured/values.json")
    assert json.loads(facts.read_text())["services"]["Echo"]["timeout_s"] == 7


def test_ipython_gives_the_cells_that_ran(tmp_path: Path) -> None:
    cells = [
        "import numpy as np\nimport tiffin\n%precision 3",
        "loud = print('training')\ntable = np.linspace(0, 1, 3)\ntable.sort()\n1 / 0",
        RUNNER.replace("self.n = n", "self.n = -n"),
        RUNNER,
        "class Point:\n    def __init__(self, x): self.x = x\n!true\nPOINTS = [Point(i) for i in range(3)]",
        "%%time" + SERVICE.replace("x * SCALE", "x * SCALE + POINTS[1].x + callable(open)"),
        BUILD,
    ]
    code = (
        "import sys, json\nfrom IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance(colors='nocolor')\n"
        "for cell in json.load(sys.stdin): shell.run_cell(cell, store_history=True)"
    )
    pytest.importorskip("IPython")
    name, notes, where, runners, text, _ = run(tmp_path, code, given=json.dumps(cells))
    assert (name, runners) == ("service:Echo", ["service:Add"])
    assert notes == ["source from cells 1, 4, 5, 6 of this session; the rest is left out"]
    assert where == {"path": "a session", "cells": ["1", "4", "5", "6"]}
    assert "self.n = n" in text  # type: ignore[operator]
    assert "open = " not in text, "IPython's own"  # type: ignore[operator]
    for word in ("-n", "table", "training", "%", "!"):
        assert word not in text, word  # type: ignore[operator]


@pytest.fixture
def pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module with a pickled `ROWS`."""
    values = Values(tmp_path, "captured_by_test", {"ROWS": {"a": (1, 2)}})
    values.add("ROWS", sourced=())
    values.finish()
    (tmp_path / "captured_by_test.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "captured_by_test", raising=False)
    __import__("captured_by_test")
    return tmp_path / captured.FOLDER


def test_values_load_with_the_versions_that_they_were_made_with(
    pickled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert captured.value("captured_by_test", "ROWS") == {"a": (1, 2)}
    with pytest.raises(ConfigError, match="GONE of captured_by_test is not there"):
        captured.value("captured_by_test", "GONE")
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE"):
        captured.value("captured_by_test", "ROWS")
    monkeypatch.delenv("TIFFIN_ALLOW_PICKLE")
    facts = json.loads((pickled / captured.FACTS_FILE).read_text())
    for name, version in (("python", "3.2.1"), ("cloudpickle", "0.1")):
        other = {**facts, "versions": {**facts["versions"], name: version}}
        (pickled / captured.FACTS_FILE).write_text(json.dumps(other))
        with pytest.raises(ConfigError, match=rf"{name} {version} \(here"):
            captured.value("captured_by_test", "ROWS")


def test_what_cannot_go_by_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[1], [2]], [1, 2])
    names = {"LOCK": threading.Lock(), "BIG": bytes(2**20), "HOLDS": {"m": [model]}, "f": lambda: model}
    values = Values(tmp_path, "service", names)
    with pytest.raises(
        BuildError, match=r"LOCK has no source .*: LOCK is a lock, which belongs to this process"
    ):
        values.add("LOCK", sourced=())
    for name in ("HOLDS", "f"):
        with pytest.raises(BuildError, match=rf"{name} is a model \(LinearRegression\)(?s:.*)models.save"):
            values.add(name, sourced=())
    monkeypatch.setattr("tiffin.bundler.capture.values.MAX_BYTES", 2**19)
    with pytest.raises(BuildError, match=r"BIG \(bytes\) has no source .* 1.0 MB, more than 524 kB"):
        values.add("BIG", sourced=())


def test_an_open_file_does_not_go_by_what_it_holds(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as file:
        values = Values(tmp_path, "service", {"LOG": {"a": [file]}, "OUT": sys.stdout})
        with pytest.raises(
            BuildError, match=r"LOG\['a'\]\[0\] is an open file \(.*log\).*runner class, or in a hook"
        ):
            values.add("LOG", sourced=())
        values.add("OUT", sourced=())
    assert pickle.loads((tmp_path / captured.FOLDER / "OUT.pkl").read_bytes()) is sys.stdout


def test_a_class_that_the_session_no_longer_has() -> None:
    from tiffin.bundler.capture.session import capture_class

    made = execute("import tiffin", service("return text"))["Echo"]
    with pytest.raises(BuildError, match="run its cell again"):
        capture_class(made, Path())


def test_a_class_of_the_running_service_has_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = execute("import tiffin", service("return text"), service("return text", name="Other"))
    (tmp_path / "service.py").write_text("import tiffin\n" + service("return text"))
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert is_of_session(made["Echo"])
    assert not is_of_session(Path)
    main.__file__ = str(tmp_path / "service.py")
    assert not is_of_session(made["Echo"])
    assert is_of_session(made["Other"])
    main.__file__ = str(tmp_path / "gone.py")
    assert is_of_session(made["Echo"])
