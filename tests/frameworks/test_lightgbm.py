from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from framework_rounds import refuses_damage, serves_kinds, tells_its_columns, together
from fresh_process import run_fresh
from sklearn.datasets import load_breast_cancer, load_iris

from tiffin.bundler import models
from tiffin.errors import ModelError

lightgbm = pytest.importorskip("lightgbm")


@pytest.fixture(autouse=True)
def no_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")


def classifier(**more: Any) -> Any:
    return lightgbm.LGBMClassifier(n_estimators=4, num_leaves=5, verbose=-1, **more)


def frame() -> pd.DataFrame:
    data = pd.DataFrame(load_iris().data, columns=["length", "width", "petal", "kind"])
    return data.assign(kind=pd.Categorical(np.where(data["kind"] > 1, "broad", "narrow")))


def test_a_classifier_comes_back_as_its_class_with_its_words(tmp_path: Path, home: Path) -> None:
    iris = load_iris()
    words = iris.target_names[iris.target]
    trees = classifier(class_weight="balanced").fit(iris.data, words)
    model = models.save("iris", trees, example=iris.data[:2])
    assert (model.info.framework, model.info.pickled) == ("lightgbm", False)
    assert [file.path for file in model.info.files] == ["model.txt"]
    assert model.classes == ["setosa", "versicolor", "virginica"]
    output = model.info.methods["predict_proba"].output
    assert output is not None and (output.shape, output.classes) == (["n", 3], 3)
    loaded = model.load()
    assert type(loaded) is lightgbm.LGBMClassifier
    assert loaded.get_params() == trees.get_params()
    assert np.array_equal(loaded.predict(iris.data), trees.predict(iris.data))
    parts = together(model, "predict_proba", iris.data[:1], iris.data[1:80], iris.data[80:], folder=tmp_path)
    assert np.array_equal(np.concatenate(parts), trees.predict_proba(iris.data))
    code = "import tiffin; print(tiffin.models.get('iris').load().predict([[5.1, 3.5, 1.4, 0.2]])[0])"
    assert run_fresh(code, home) == "setosa"
    refuses_damage(model)


def test_a_frame_with_categories_from_json(tmp_path: Path) -> None:
    data = frame()
    target = load_iris().target
    trees = lightgbm.LGBMRegressor(n_estimators=4, verbose=-1, min_child_samples=5).fit(data, target)
    model = models.save("kinds", trees, example=data[:2])
    assert model.info.methods["predict"].inputs["X"].columns == {
        "length": "float64",
        "width": "float64",
        "petal": "float64",
        "kind": "category",
    }
    records = data.astype({"kind": object}).to_dict("records")
    whole = {**records[0], "length": 5, "width": 3}  # integers in JSON, and columns in another order
    first = [dict(reversed(whole.items()))]
    one, rest = together(model, "predict", first, pd.DataFrame(records[1:]), folder=tmp_path)
    expected = trees.predict(
        data.assign(
            length=data["length"].where(data.index > 0, 5.0), width=data["width"].where(data.index > 0, 3.0)
        )
    )
    assert np.array_equal(np.concatenate([one, rest]), expected)


def test_a_booster_takes_arrays_and_lists(tmp_path: Path) -> None:
    cancer = load_breast_cancer()
    data = lightgbm.Dataset(cancer.data, cancer.target)
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, data, 3)
    model = models.save("cancer", booster, example=cancer.data[:2], classes=list(cancer.target_names))
    output = model.info.methods["predict"].output
    assert output is not None and (output.shape, output.classes) == (["n"], 2)
    expected = booster.predict(cancer.data[:9])
    loaded, call = model.load(), model.framework.call
    assert np.array_equal(call(loaded, "predict", cancer.data[:9].tolist()), expected)
    one, two = together(model, "predict", cancer.data[:4], cancer.data[4:9], folder=tmp_path)
    assert np.array_equal(np.concatenate([one, two]), expected)
    assert call(loaded, "predict", cancer.data[:2], pred_leaf=True).shape == (2, 3)


def test_a_file_is_copied(tmp_path: Path) -> None:
    iris = load_iris()
    booster = classifier().fit(iris.data, iris.target).booster_
    booster.save_model(tmp_path / "trees.txt")
    model = models.save("iris", tmp_path / "trees.txt", framework="lightgbm")
    assert (model.path / "model.txt").read_bytes() == (tmp_path / "trees.txt").read_bytes()
    assert np.array_equal(model.load().predict(iris.data), booster.predict(iris.data))
    (tmp_path / "other.txt").write_text("not trees")
    with pytest.raises(ModelError, match=r"other\.txt cannot be read as a LightGBM model"):
        models.save("iris", tmp_path / "other.txt", framework="lightgbm")


def test_a_cut_file_ends_in_an_error_and_not_in_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "m.txt"
    iris = load_iris()
    classifier().fit(iris.data, iris.target).booster_.save_model(path)
    whole = path.read_text()
    for ending in ("Tree=0", "end of parameters"):
        path.write_text(whole.partition(ending)[0])
        with pytest.raises(ModelError, match="is cut"):
            models.save("m", path)


def test_what_cannot_come_back_the_same_is_refused() -> None:
    iris = load_iris()
    with pytest.raises(ModelError, match="call fit first"):
        models.save("m", classifier())

    def own(truth: Any, guess: Any) -> Any:
        return guess - truth, np.ones_like(guess)

    trees = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1, objective=own).fit(iris.data, iris.target)
    with pytest.raises(ModelError, match=r"save the booster, model\.booster_"):
        models.save("m", trees)
    assert models.save("m", trees.booster_).load().predict(iris.data[:1]) == trees.predict(iris.data[:1])


def test_threads_are_those_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    iris = load_iris()
    model = models.save("iris", classifier().fit(iris.data, iris.target))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert model.load().n_jobs == 1


def test_a_file_tells_its_columns(tmp_path: Path) -> None:
    data, target = frame(), load_iris().target
    trees = lightgbm.LGBMRegressor(n_estimators=4, verbose=-1, min_child_samples=5).fit(data, target)
    trees.booster_.save_model(tmp_path / "trees")
    model = models.save("kinds", tmp_path / "trees", framework="lightgbm")
    tells_its_columns(model, data, trees, kind="category", folder=tmp_path)


def test_served_from_a_bundle(tmp_path: Path) -> None:
    data, target = frame(), load_iris().target
    trees = lightgbm.LGBMRegressor(n_estimators=4, verbose=-1, min_child_samples=5).fit(data, target)
    models.save("kinds", trees, example=data[:2])
    kinds = pd.CategoricalDtype(["broad", "narrow"])
    serves_kinds(tmp_path, lambda rows: trees.predict(rows.astype({"kind": kinds})[list(data)]))
