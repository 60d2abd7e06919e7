"""What is taken from a live session: cells that ran, and values where to run them again would be wrong."""

from __future__ import annotations

import linecache
import math
import sys
from types import SimpleNamespace

import pytest
from cells import execute, from_kernel, said, service

import tiffin
from tiffin.bundler.capture.history import executed_cells
from tiffin.bundler.capture.live import LiveSession
from tiffin.bundler.capture.source import source_of
from tiffin.errors import BuildError

TRAIN = "class Forest:\n    def fit(self, x):\n        self.mean = sum(x) / len(x)\n        return self\n"


def test_equal_to_the_file_when_nothing_is_odd() -> None:
    found, _ = from_kernel("A = {'a': 1}\nA['b'] = 2\ndef f(): return str(A)", service("return f()"))
    assert said(found) == "{'a': 1, 'b': 2}"
    assert (found.by_value, found.written) == ((), ())


def test_what_training_leaves_behind_is_written_or_goes_by_value() -> None:
    found, names = from_kernel(
        TRAIN + "m = Forest().fit([1, 3])\nMEAN = m.mean\nTABLE = {str(i): [m.mean] for i in range(2)}\n"
        "BIG = [m.mean] * 5000\nARRAY = np.ones(3) * m.mean",
        service("return str((MEAN, TABLE, len(BIG), ARRAY))"),
    )
    assert "MEAN = 2.0\n" in found.text
    assert "TABLE = {'0': [2.0], '1': [2.0]}\n" in found.text
    assert found.written == ("MEAN", "TABLE")
    assert sorted(found.by_value) == ["ARRAY", "BIG"]
    assert "Forest" not in found.text
    assert len(names["BIG"]) == 5000


def test_what_was_read_from_files_goes_as_it_is_now(tmp_path: object) -> None:
    found, _ = from_kernel(
        f"path = {str(tmp_path)!r} + '/w.txt'\nwith open(path, 'w') as f:\n    f.write('a b')\n"
        "with open(path) as f:\n    WORDS = f.read().split()\nSEEN = set(WORDS)",
        service("return ''.join(WORDS)"),
    )
    assert said(found) == "ab"
    assert "open(" not in found.text


def test_a_literal_that_was_changed_out_of_sight() -> None:
    found, _ = from_kernel(
        "W = ['a']\nK = 1", "globals()['W'] = ['b']\nimport json\njson.K = 2", service("return W[0]")
    )
    assert said(found) == "b"
    assert found.written == ("W",)


def test_what_a_name_was_before_it_was_bound_anew() -> None:
    found, _ = from_kernel(
        "A = 1\nA = A + 1\nD = 'cpu'\nif A > 1:\n    D = 'cuda'", service("return D + str(A)")
    )
    assert said(found) == "cuda2"
    assert "D = 'cpu'" in found.text
    assert found.written == ()


def test_a_cell_that_failed_half_way_and_one_that_ran_again() -> None:
    found, _ = from_kernel(
        "def f():\n    return 'ran'",
        "1 / 0\ndef f():\n    return 'never ran'",
        service("return f()"),
    )
    assert said(found) == "ran"
    again, _ = from_kernel(
        "def f(): return 1", service("return str(f())"), "def f(): return 2", service("return str(f() + 1)")
    )
    assert said(again) == "3"


@pytest.mark.parametrize(
    ("name", "given", "written"),
    [
        ("np2", "np", "import numpy as np2"),
        ("join", "__import__('os').path.join", "from posixpath import join"),
        ("j", "__import__('os').path.join", "from posixpath import join as j"),
        ("N", "5", "N = 5"),
        ("S", "{'a', 'b'}", "S = {'a', 'b'}"),
    ],
)
def test_names_that_no_cell_binds(name: str, given: str, written: str) -> None:
    found, _ = from_kernel(f"exec({f'{name} = {given}'!r})", service(f"return str({name})"))
    assert written in found.text
    assert said(found)


def test_a_saved_model_is_the_version_that_it_is(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    found, names = from_kernel(
        "def double(x): return x\nmodel = tiffin.models.save('double', double, example=[1])",
        service("return str(model.tag)"),
    )
    assert f'model = tiffin.models.get("{names["model"].tag}")' in found.text
    assert said(found) == str(tiffin.models.get("double").tag)


@pytest.mark.parametrize(
    "cell",
    [
        "from sklearn.linear_model import LinearRegression\nm = LinearRegression().fit([[1], [2]], [1, 2])",
        (
            "from sklearn.linear_model import LinearRegression\nm = LinearRegression()\n"
            "getattr(m, 'f' + 'it')([[1], [2]], [1, 2])"
        ),
        (
            "from sklearn.preprocessing import StandardScaler\n"
            "from sklearn.pipeline import make_pipeline\nm = make_pipeline(StandardScaler())"
        ),
    ],
    ids=["fitted", "out of sight", "pipeline"],
)
def test_a_model_is_refused(cell: str) -> None:
    with pytest.raises(
        BuildError, match=r"Echo → m: m is a model (?s:.*)models.save\('m', m.*tiffin.runner\('m:latest'\)"
    ):
        from_kernel(cell, service("return str(m.predict([[1]]))"))


def test_an_unfitted_transformer_and_a_data_set_are_no_models() -> None:
    found, _ = from_kernel(
        "from sklearn.preprocessing import Normalizer\nn = Normalizer()\n"
        "from sklearn.datasets import load_iris\ndata = load_iris()\nNAMES = data.target_names",
        service("return NAMES[0] + str(n)"),
    )
    assert said(found) == "setosaNormalizer()"


def test_what_was_typed_in_is_not_written_into_a_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda: "secret")
    with pytest.raises(BuildError, match=r"token is typed in .*os.environ\['TOKEN'\]"):
        from_kernel("token = input()", service("return token"))
    monkeypatch.setenv("SECRET_OF_TEST", "hidden")
    found, _ = from_kernel("import os\nKEY = os.environ['SECRET_OF_TEST']", service("return KEY"))
    assert "hidden" not in found.text
    assert said(found) == "hidden"


def test_names_of_the_module_itself() -> None:
    found, _ = from_kernel(service("return __name__"))
    assert said(found) == "captured_by_test"
    assert (found.by_value, found.written) == ((), ())


def test_names_of_a_startup_file_are_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = {"open": len, "In": [""], "SCALE": 3, "math": math, "_dh": []}
    shell = SimpleNamespace(user_ns=namespace, user_ns_hidden=dict(namespace))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    session = LiveSession(namespace)
    assert [name for name in namespace if session.has(name)] == ["SCALE", "math"]
    namespace["open"] = max
    assert session.has("open")


def test_a_prompt_without_history_keeps_nothing() -> None:
    namespace = execute("import tiffin", service("return text"))
    assert executed_cells(namespace) == []
    found = source_of([], "Echo", session=LiveSession(namespace))
    assert found.by_value == ("Echo",)
    assert found.cells == ()


def test_a_prompt_of_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, text in ((10, "x = 1\n"), (9, "import tiffin\n")):
        name = f"<python-input-{number}>"
        monkeypatch.setitem(linecache.cache, name, (len(text), None, [text], "<stdin>"))
    assert [(cell.number, cell.source) for cell in executed_cells({})] == [
        (10, "import tiffin\n"),
        (11, "x = 1\n"),
    ]
