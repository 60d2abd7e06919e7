from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fresh_process import run_fresh

import tiffin
from tiffin.bundler import models
from tiffin.errors import ModelError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    return tmp_path


def triple(rows: list[int]) -> list[int]:
    return [helper(row) for row in rows]


def helper(row: int) -> int:
    return 3 * row


class Callable_:
    def __call__(self, rows: list[str]) -> list[int]:
        return [len(row) for row in rows]


class Encoder:
    @tiffin.batch(max_size=32)
    def encode(self, texts: list[str]) -> Any:
        return np.zeros((len(texts), 4), np.float32)

    def reset(self) -> None: ...


class Several:
    def first(self, rows: list[int]) -> list[int]:
        return rows

    def second(self, rows: list[int]) -> list[int]:
        return rows[::-1]


class One:
    def only(self, rows: list[int]) -> list[int]:
        return rows


def test_a_function_is_offered_as_predict() -> None:
    model = models.save("f", triple, example=[1, 2, 3])
    assert model.info.framework == "cloudpickle"
    assert list(model.info.methods) == ["predict", "__call__"]
    assert model.info.methods["predict"].batch
    assert list(model.info.methods["predict"].inputs) == ["rows"]
    assert model.framework.call(model.load(), "predict", [2]) == [6]


@pytest.mark.parametrize(
    ("obj", "methods"),
    [(Callable_(), ["predict", "__call__"]), (Encoder(), ["encode"]), (One(), ["only"])],
)
def test_which_methods_are_offered(obj: Any, methods: list[str]) -> None:
    assert list(models.save("m", obj).info.methods) == methods


def test_a_mark_is_kept() -> None:
    model = models.save("m", Encoder(), example=["a", "bc"])
    spec = model.info.methods["encode"]
    assert (spec.batch, spec.max_batch_size) == (True, 32)
    assert spec.output is not None and spec.output.shape == ["n", 4]


def test_the_user_must_choose_among_several() -> None:
    with pytest.raises(ModelError, match=r"Several has first, second.*methods=\['first'\]"):
        models.save("m", Several())
    model = models.save("m", Several(), methods=["second", "first"], example=[1, 2])
    assert list(model.info.methods) == ["second", "first"]
    with pytest.raises(ModelError, match="nothing to call"):
        models.save("m", object())


def test_a_result_of_other_length_is_no_batch() -> None:
    model = models.save("m", sum, example=[1, 2, 3])
    assert not model.info.methods["predict"].batch


def test_async_functions_are_refused() -> None:
    async def later(rows: list[int]) -> list[int]:
        return rows

    with pytest.raises(ModelError, match="async"):
        models.save("m", later)


def test_what_belongs_to_this_process_is_named() -> None:
    lock = threading.Lock()

    def locked(rows: list[int]) -> list[int]:
        with lock:
            return rows

    told = r"function → lock is a lock, which belongs to this process.*runner class"
    with pytest.raises(ModelError, match=told):
        models.save("m", locked)
    assert models.list() == []


def test_code_of_main_and_of_the_project_loads_elsewhere(tmp_path: Path, home: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "mylib.py").write_text("FACTOR = 7\ndef scale(x):\n    return FACTOR * x\n")
    code = (
        "import tiffin, mylib\n"
        "class Mine:\n"
        "    def predict(self, rows):\n"
        "        return [mylib.scale(row) for row in rows]\n"
        "tiffin.models.save('main', Mine())\n"
        "tiffin.models.save('lib', mylib.scale)\n"
    )
    run_fresh(code, project)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    load = "import tiffin; load = lambda tag: tiffin.models.get(tag).load();"
    assert run_fresh(load + "print(load('main').predict([1, 2]), load('lib')(3))", elsewhere) == "[7, 14] 21"


def test_installed_code_is_not_copied() -> None:
    assert models.save("m", len).info.options == {}


def test_code_of_another_python_is_refused() -> None:
    model = models.save("m", triple)
    assert model.info.options == {"bytecode": f"{sys.version_info.major}.{sys.version_info.minor}"}
    model.info.options["bytecode"] = "3.9"
    with pytest.raises(ModelError, match=r"Python 3.9 compiled"):
        model.framework.load(model.path, model.info, "cpu")
