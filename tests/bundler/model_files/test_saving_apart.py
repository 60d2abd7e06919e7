"""Model files that end the process which reads them, or never come to an end."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiffin.bundler import child_process, models
from tiffin.bundler.model_files import child
from tiffin.bundler.model_files.saving import save_apart
from tiffin.errors import ModelError, NotFoundError


class Runs:
    """Unpickling it calls a function."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))


def write(path: Path, obj: Any) -> Path:
    path.write_bytes(pickle.dumps(obj))
    return path


def test_a_file_that_ends_the_process(tmp_path: Path) -> None:
    for number, (function, args, shown) in enumerate(
        [(os.abort, (), "SIGABRT"), (os._exit, (3,), "status 3")]
    ):
        path = write(tmp_path / f"{number}.pkl", Runs(function, *args))
        with pytest.raises(ModelError, match=rf"loading {number}\.pkl ended the process \({shown}\)"):
            save_apart("m", path)
    assert models.list() == []


def test_a_file_that_takes_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "LIMIT_S", 1.0)
    with pytest.raises(ModelError, match=r"m\.pkl was not read in 1 s and reading it was given up"):
        save_apart("m", write(tmp_path / "m.pkl", Runs(time.sleep, 1000)))


def test_a_model_and_an_error_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "rules_of_mine.py").write_text("def predict(x):\n    return x\n")
    path = tmp_path / "rules.pkl"
    path.write_bytes(b"\x80\x04crules_of_mine\npredict\n.")
    model = save_apart("rules", path, inputs=["x:float32[n,2]"])
    assert model.tag == models.get("rules").tag
    assert "warning: rules.pkl is a pickle of rules_of_mine.predict" in capfd.readouterr().err
    with pytest.raises(ModelError, match=r"notes\.txt seems to be a text file"):
        (tmp_path / "notes.txt").write_text("notes")
        save_apart("notes", tmp_path / "notes.txt")
    with pytest.raises(NotFoundError):
        models.get("notes")


def test_files_in_the_working_folder_are_not_taken_for_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("Python 3.10 has no -P")
    monkeypatch.chdir(tmp_path)
    for name in ("queue", "tiffin"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken')\n")
    with pytest.raises(ModelError, match=r"notes\.txt seems to be a text file"):
        (tmp_path / "notes.txt").write_text("notes")
        save_apart("notes", tmp_path / "notes.txt")
    assert "taken" not in capfd.readouterr().err


def test_ctrl_c_is_no_traceback_of_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        child.run(interrupted)
    assert ended.value.code == 130
    assert capfd.readouterr().err == ""


def test_code_of_a_script_is_told_without_the_insides_of_the_process(tmp_path: Path) -> None:
    file = tmp_path / "mine.pkl"
    file.write_bytes(b"\x80\x04\x8c\x08__main__\x8c\x04Mine\x93)\x81.")
    with pytest.raises(
        ModelError, match=r"its code is not where it was \(Can't get attribute 'Mine'\): a class"
    ):
        save_apart("mine", file)


def test_a_library_that_is_missing_is_told_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = child.Answer(error="MissingDependencyError", message="no lightgbm")
    monkeypatch.setattr(child_process, "ask", lambda *_, **__: child_process.Reply(answer, "", 0))
    with pytest.raises(ModelError, match=r"^light\.txt: no lightgbm$"):
        child.ask("module", child.Question(), child.Answer, tmp_path / "light.txt")
