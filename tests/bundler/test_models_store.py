from __future__ import annotations

import logging
import subprocess
import time
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fresh_process import run_fresh
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tiffin.bundler import models
from tiffin.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidTagError,
    ModelError,
    NotFoundError,
    UsageError,
)
from tiffin.runtime.manifest import MODEL_FILE
from tiffin.runtime.model.model import Model


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def iris() -> Any:
    return load_iris()


@pytest.fixture(scope="module")
def classifier(iris: Any) -> LogisticRegression:
    return LogisticRegression(max_iter=1000).fit(iris.data, iris.target)


def double(rows: list[int]) -> list[int]:
    return [2 * row for row in rows]


def test_the_readme_example(iris: Any, classifier: LogisticRegression, home: Path) -> None:
    model = models.save(
        "iris",
        classifier,
        example=iris.data[:2],
        classes=list(iris.target_names),
        labels={"team": "botany"},
        metadata={"accuracy": np.float64(0.97), "seen": np.arange(3), "when": ("a", {"b": None})},
    )
    info = model.info
    assert model.path == home / "models" / "iris" / model.tag.version
    assert model.classes == ["setosa", "versicolor", "virginica"]
    assert model.labels == {"team": "botany"}
    assert model.metadata == {"accuracy": 0.97, "seen": [0, 1, 2], "when": ["a", {"b": None}]}
    predict = info.methods["predict"]
    assert next(iter(info.methods)) == "predict"
    assert predict.inputs["X"].dtype == "float64"
    assert predict.inputs["X"].shape == ["n", 4]
    assert predict.output is not None
    assert (predict.output.dtype, predict.output.shape, predict.output.classes) == ("int64", ["n"], 3)
    assert info.methods["predict_proba"].output is not None
    assert info.methods["predict_proba"].output.shape == ["n", 3]
    assert info.pickled
    assert {"python", "tiffin", "scikit-learn", "numpy"} <= info.versions.keys()
    assert info.provenance["host"]
    again = models.get("iris")
    assert again.tag == model.tag
    assert np.array_equal(again.load().predict(iris.data), classifier.predict(iris.data))


def test_equal_content_has_an_equal_digest() -> None:
    first, second = (models.save("double", double, labels={"n": str(n)}) for n in (1, 2))
    assert first.info.digest == second.info.digest
    assert models.save("double", len).info.digest != first.info.digest


def test_list_get_delete() -> None:
    first, second = models.save("b", double), models.save("b", double)
    other = models.save("a", double)
    assert [model.tag for model in models.list()] == [other.tag, first.tag, second.tag]
    assert [model.tag for model in models.list("b")] == [first.tag, second.tag]
    assert models.list("nothing") == []
    assert models.get("b").tag == second.tag
    assert models.get(first.tag).tag == first.tag
    assert models.get(f"b:{first.tag.version[:13]}").tag == first.tag
    assert models.delete("b") == second.tag
    assert models.get("b").tag == first.tag
    with pytest.raises(NotFoundError, match=r"did you mean 'a'|there are: a, b"):
        models.get("c")


def test_an_own_version_that_is_not_the_newest_is_said(caplog: pytest.LogCaptureFixture) -> None:
    models.save("m", double, version="v2")
    with caplog.at_level(logging.WARNING):
        models.save("m", double, version="v1")
    assert "m:latest stays v2" in caplog.text
    assert models.get("m").tag.version == "v2"
    with pytest.raises(AlreadyExistsError, match="m:v1"):
        models.save("m", double, version="v1")


@pytest.mark.parametrize("name", ["../m", "M", "a:b", "", "a/b"])
def test_bad_names(name: str) -> None:
    with pytest.raises(InvalidTagError):
        models.save(name, double)


@pytest.mark.parametrize(
    ("name", "near"), [("Iris", "iris"), ("My Größe!", "my-grosse"), ("x" * 64, "x" * 63)]
)
def test_a_bad_name_is_told_with_one_like_it(name: str, near: str) -> None:
    with pytest.raises(InvalidTagError, match=rf"such as '{near}'$"):
        models.save(name, double)
    with pytest.raises(InvalidTagError, match=r"letter or digit$"):
        models.save("…", double)


class Word(str, Enum):
    ONE = "one"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": "words"}, "one word"),
        ({"labels": {"a": 1}}, "both must be strings"),
        ({"metadata": {"a": [{"b": object()}]}}, r"metadata.a\[0\].b is of type object"),
        ({"metadata": {1: 2}}, "keys must be strings"),
        ({"methods": "predict"}, "give a list"),
        ({"methods": []}, "is empty"),
        ({"methods": {"predict": {"bacth": True}}}, "it takes example, batch"),
    ],
)
def test_wrong_arguments_are_usage_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        models.save("m", double, **arguments)
    assert models.list() == []


def test_a_path_that_is_text() -> None:
    with pytest.raises(UsageError, match=r"'iris\.onnx' is text; a file .* is given as pathlib\.Path"):
        models.save("iris", "iris.onnx")


def test_enums_and_numpy_words_become_plain() -> None:
    model = models.save("m", double, metadata={"w": Word.ONE}, classes=np.array(["x", "y"]))
    assert model.metadata == {"w": "one"}
    assert model.classes == ["x", "y"]


def test_classes_must_fit_the_model(iris: Any, classifier: LogisticRegression) -> None:
    with pytest.raises(ModelError, match=r"2 words \(a, b\), but the model has 3 classes: 0, 1, 2"):
        models.save("iris", classifier, classes=["a", "b"])
    with pytest.raises(ModelError, match="'a' twice"):
        models.save("iris", classifier, classes=["a", "b", "a"])

    def scores(rows: Any) -> Any:
        return np.zeros((len(rows), 4), np.float32)

    with pytest.raises(ModelError, match=r"3 words .* predict gives an array of shape \['n', 4\]"):
        models.save("scores", scores, example=iris.data[:2], classes=["a", "b", "c"])
    good = models.save("scores", scores, example=iris.data[:2], classes=["a", "b", "c", "d"])
    assert good.info.methods["predict"].output is not None
    assert good.info.methods["predict"].output.classes == 4


def test_an_example_that_fails_is_an_error(iris: Any, classifier: LogisticRegression) -> None:
    with pytest.raises(ModelError, match=r"LogisticRegression.predict fails on example=.*4 features"):
        models.save("iris", classifier, example=iris.data[:2, :3])
    assert models.list() == []


def test_methods_can_be_chosen(iris: Any, classifier: LogisticRegression) -> None:
    chosen = models.save("iris", classifier, example=iris.data[:2], methods=["predict_proba", "predict"])
    assert list(chosen.info.methods) == ["predict_proba", "predict"]
    settings = {"predict": {"batch": False, "max_latency_ms": 5.0, "example": iris.data[:7]}, "score": {}}
    tuned = models.save("iris", classifier, methods=settings)
    assert not tuned.info.methods["predict"].batch
    assert tuned.info.methods["predict"].max_latency_ms == 5.0
    assert tuned.info.methods["predict"].inputs["X"].shape == ["n", 4]
    with pytest.raises(ModelError, match="no method 'fly'; it has predict, predict_proba"):
        models.save("iris", classifier, methods=["fly"])


def test_an_unknown_framework_is_named() -> None:
    with pytest.raises(
        ModelError, match=r"no framework 'nobody'; there are transformers.*'tiffin\.frameworks'$"
    ):
        models.save("m", double, framework="nobody")


@pytest.mark.parametrize(
    ("typed", "meant"), [("sklern", "sklearn"), ("PyTorch", "torch"), ("scikit-learn", "sklearn")]
)
def test_the_nearest_framework_is_named(tmp_path: Path, typed: str, meant: str) -> None:
    (tmp_path / "m.joblib").write_bytes(b"")
    for model in (double, tmp_path / "m.joblib"):
        with pytest.raises(
            ModelError, match=f"no framework '{typed}'; there are .*; did you mean '{meant}'\\?$"
        ):
            models.save("m", model, framework=typed)


def test_a_framework_that_is_no_name() -> None:
    with pytest.raises(ModelError, match=r"framework=\['sklearn'\] is no name; there are transformers"):
        models.save("m", double, framework=["sklearn"])  # type: ignore[arg-type]


def test_export_and_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.save("double", double, labels={"a": "b"})
    steps = []
    path = models.export("double", tmp_path, on_progress=lambda done, total: steps.append((done, total)))
    assert path == tmp_path / f"double-{model.tag.version}.tar"
    assert steps[-1][0] == steps[-1][1] > 0
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "other"))
    there = models.import_(path)
    assert there.tag == model.tag
    assert there.path.is_relative_to(tmp_path / "other")
    assert there.info == model.info
    assert there.load()([4]) == [8]
    assert models.import_(path).tag == model.tag  # a second time changes nothing
    models.delete(model.tag)
    models.save("double", len, version=model.tag.version)
    with pytest.raises(AlreadyExistsError):
        models.import_(path)


def test_import_believes_nothing(tmp_path: Path) -> None:
    model = models.save("double", double)
    path = models.export("double", tmp_path / "m.tar")
    models.delete("double")
    for old, new in (
        (b"name: double", b"name: ../../"),
        (b"framework: cloudpickle", b"framework: claudpickle"),
        (b"pickled: true", b"pickled: null"),
        (model.info.files[0].sha256.encode(), b"0" * 64),
    ):
        data = path.read_bytes()
        assert old in data
        (tmp_path / "bad.tar").write_bytes(data.replace(old, new))
        with pytest.raises(IntegrityError):
            models.import_(tmp_path / "bad.tar")
        assert models.list() == []
        assert list((model.path.parents[1] / ".tmp").iterdir()) == []


def test_what_was_saved_from_a_git_folder_names_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t.example"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert models.save("m", double).info.provenance["git"]["commit"] == commit.strip()


def test_import_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, tiffin; tiffin.models.list(); "
        "heavy = ('numpy', 'sklearn', 'torch', 'xgboost', 'pandas', 'litestar', 'rich');"
        "print([m for m in heavy if m in sys.modules])"
    )
    assert run_fresh(code, tmp_path) == "[]"


def test_listing_a_thousand_models_is_fast(home: Path) -> None:
    model = models.save("m", double)
    text = (model.path / MODEL_FILE).read_text()
    for name in range(100):
        for version in range(10):
            folder = home / "models" / f"n{name}" / f"v{version}"
            folder.mkdir(parents=True)
            (folder / MODEL_FILE).write_text(
                text.replace("name: m", f"name: n{name}").replace(model.tag.version, f"v{version}")
            )
    begin = time.process_time()
    found = models.list()
    listed_s = time.process_time() - begin
    assert len(found) == 1001
    assert listed_s < 1.0  # of a processor, of which it takes a tenth
    assert found[17].info.framework == "cloudpickle"


def test_repr_tells_what_it_is(classifier: LogisticRegression) -> None:
    model = models.save("iris", classifier, classes=["a", "b", "c"])
    assert repr(model).startswith(f"<Model {model.tag} sklearn; pickled; ")
    assert "methods predict" in repr(model)
    assert "3 classes" in repr(model)
    models.delete(model.tag)
    assert "unreadable" in repr(Model(model.path, model.tag))


def _nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"deeper": inner}
    return inner


def _holding_itself() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["me"] = [found]
    return found


@pytest.mark.parametrize(
    "words",
    [
        {"metadata": _nested(120)},
        {"metadata": _holding_itself()},
        {"metadata": {"half": "\ud800"}},
        {"metadata": {"long": 10**5000}},
        {"labels": {"\udcff": "x"}},
        {"classes": ["a", "\udcff"]},
    ],
    ids=["deep", "endless", "half a character", "long number", "label", "class"],
)
def test_what_could_not_be_read_again_is_not_saved(home: Path, words: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        models.save("m", double, **words)
    assert models.list() == []
    assert not list((home / "models").glob(".tmp/*"))


@pytest.mark.parametrize("name", [None, 5, b"m"])
def test_a_name_that_is_no_text(name: Any) -> None:
    with pytest.raises(InvalidTagError, match="bad name"):
        models.save(name, double)
