from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from framework_rounds import refuses_damage, serves_kinds, tells_its_columns, together
from fresh_process import run_fresh
from sklearn.datasets import load_iris

from tiffin.bundler import models
from tiffin.errors import ModelError

catboost = pytest.importorskip("catboost")

QUIET: dict[str, Any] = {
    "iterations": 4,
    "verbose": 0,
    "allow_writing_files": False,
    "thread_count": 1,
    "bootstrap_type": "No",
}


@pytest.fixture(autouse=True)
def no_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")


def frame() -> pd.DataFrame:
    data = pd.DataFrame(load_iris().data, columns=["length", "width", "petal", "kind"])
    return data.assign(kind=np.where(data["kind"] > 1, "broad", "narrow"))


def test_a_classifier_comes_back_as_its_class_with_its_words(tmp_path: Path, home: Path) -> None:
    iris = load_iris()
    trees = catboost.CatBoostClassifier(**QUIET).fit(iris.data, iris.target_names[iris.target])
    model = models.save("iris", trees, example=iris.data[:2])
    assert (model.info.framework, model.info.pickled) == ("catboost", False)
    assert [file.path for file in model.info.files] == ["model.cbm"]
    assert model.classes == ["setosa", "versicolor", "virginica"]
    assert list(model.info.methods) == ["predict", "predict_proba", "predict_log_proba"]
    output = model.info.methods["predict_proba"].output
    assert output is not None and (output.shape, output.classes) == (["n", 3], 3)
    loaded = model.load()
    assert type(loaded) is catboost.CatBoostClassifier
    assert np.array_equal(loaded.predict(iris.data), trees.predict(iris.data))
    parts = together(model, "predict_proba", iris.data[:1], iris.data[1:80], iris.data[80:], folder=tmp_path)
    assert np.array_equal(np.concatenate(parts), trees.predict_proba(iris.data))
    code = "import tiffin; print(tiffin.models.get('iris').load().predict([[5.1, 3.5, 1.4, 0.2]])[0][0])"
    assert run_fresh(code, home) == "setosa"
    refuses_damage(model)


def test_a_frame_with_categories_from_json(tmp_path: Path) -> None:
    data, target = frame(), load_iris().target
    trees = catboost.CatBoostRegressor(**QUIET, cat_features=["kind"]).fit(data, target)
    model = models.save("kinds", trees, example=data[:2])
    records = data.to_dict("records")
    records[0] = {"kind": records[0]["kind"], "petal": 1, "width": 3, "length": 5}
    one, rest = together(model, "predict", records[:1], pd.DataFrame(records[1:]), folder=tmp_path)
    assert np.array_equal(np.concatenate([one, rest]), trees.predict(pd.DataFrame(records)[list(data)]))


@pytest.mark.parametrize("kind", ["CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker"])
def test_a_file_is_copied_and_read_as_what_it_is(kind: str, tmp_path: Path) -> None:
    iris = load_iris()
    trees = getattr(catboost, kind)(**QUIET)
    groups = {"group_id": np.arange(150) // 10} if kind == "CatBoostRanker" else {}
    trees.fit(iris.data, iris.target, **groups)
    trees.save_model(str(tmp_path / "trees.cbm"))
    model = models.save("iris", tmp_path / "trees.cbm", framework="catboost", example=iris.data[:2])
    assert (model.path / "model.cbm").read_bytes() == (tmp_path / "trees.cbm").read_bytes()
    loaded = model.load()
    assert type(loaded).__name__ == kind
    assert np.array_equal(loaded.predict(iris.data), trees.predict(iris.data))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="call fit first"):
        models.save("m", catboost.CatBoostRegressor())
    (tmp_path / "other.cbm").write_bytes(b"CBM1 nothing")
    with pytest.raises(ModelError, match=r"other\.cbm cannot be read as a CatBoost model"):
        models.save("m", tmp_path / "other.cbm", framework="catboost")
    assert models.list() == []


def test_a_file_tells_its_columns(tmp_path: Path) -> None:
    data, target = frame(), load_iris().target
    trees = catboost.CatBoostRegressor(**QUIET, cat_features=["kind"]).fit(data, target)
    trees.save_model(str(tmp_path / "trees"))
    model = models.save("kinds", tmp_path / "trees", framework="catboost")
    tells_its_columns(model, data, trees, kind="object", folder=tmp_path)


def test_served_from_a_bundle(tmp_path: Path) -> None:
    data, target = frame(), load_iris().target
    trees = catboost.CatBoostRegressor(**QUIET, cat_features=["kind"]).fit(data, target)
    models.save("kinds", trees, example=data[:2])
    serves_kinds(tmp_path, lambda rows: trees.predict(rows[list(data)]))
