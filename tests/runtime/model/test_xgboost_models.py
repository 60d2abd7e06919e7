from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from fresh_process import run_fresh
from sklearn.datasets import load_breast_cancer, load_iris

from tiffin.bundler import models
from tiffin.errors import ModelError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")  # no format of XGBoost's needs one
    return tmp_path


@pytest.fixture(scope="module")
def cancer() -> Any:
    return load_breast_cancer()


def test_a_classifier_comes_back_as_its_class(cancer: Any, home: Path) -> None:
    trees = xgboost.XGBClassifier(n_estimators=10, max_depth=3, missing=-1.0).fit(cancer.data, cancer.target)
    model = models.save("cancer", trees, example=cancer.data[:2], classes=list(cancer.target_names))
    assert [file.path for file in model.info.files] == ["model.ubj"]
    assert not model.info.pickled
    assert list(model.info.methods)[:2] == ["predict", "predict_proba"]
    output = model.info.methods["predict_proba"].output
    assert output is not None and (output.shape, output.classes) == (["n", 2], 2)
    loaded = model.load()
    assert type(loaded) is xgboost.XGBClassifier
    assert loaded.missing == -1.0
    assert np.array_equal(loaded.predict_proba(cancer.data), trees.predict_proba(cancer.data))
    with pytest.raises(ModelError, match=r"3 words .* 2 classes"):
        models.save("cancer", trees, classes=["a", "b", "c"])
    code = "import tiffin; print(type(tiffin.models.get('cancer').load()).__name__)"
    assert run_fresh(code, home) == "XGBClassifier"


def test_a_regressor_on_a_data_frame() -> None:
    frame = pd.DataFrame(load_iris().data, columns=["a", "b", "c", "d"])
    trees = xgboost.XGBRegressor(n_estimators=5).fit(frame[["a", "b", "c"]], frame["d"])
    model = models.save("width", trees, example=frame[["a", "b", "c"]][:2])
    spec = model.info.methods["predict"]
    assert spec.inputs["X"].columns == {"a": "float64", "b": "float64", "c": "float64"}
    assert spec.output is not None and spec.output.classes is None
    x = frame[["a", "b", "c"]]
    assert np.array_equal(model.load().predict(x), trees.predict(x))


@pytest.mark.parametrize("named", [True, False])
def test_a_booster_takes_arrays_lists_and_frames(named: bool) -> None:
    iris = load_iris()
    names = ["a", "b", "c", "d"] if named else None
    matrix = xgboost.DMatrix(iris.data, iris.target, feature_names=names)
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3}, matrix, 5)
    model = models.save("iris", booster, example=iris.data[:2], classes=list(iris.target_names))
    output = model.info.methods["predict"].output
    assert output is not None and (output.shape, output.classes) == (["n", 3], 3)
    loaded, call = model.load(), model.framework.call
    expected = booster.predict(matrix)
    assert np.array_equal(call(loaded, "predict", iris.data), expected)
    assert np.array_equal(call(loaded, "predict", data=iris.data.tolist()), expected)
    assert np.array_equal(call(loaded, "predict", matrix), expected)
    assert call(loaded, "predict", iris.data, output_margin=True).min() < 0
    if named:
        frame = pd.DataFrame(iris.data, columns=names)
        assert np.array_equal(call(loaded, "predict", frame), expected)


class Mine(xgboost.XGBRegressor):
    pass


def test_a_class_that_cannot_be_imported_is_refused() -> None:
    iris = load_iris()
    with pytest.raises(ModelError, match=r"another process cannot import .*:Mine"):
        models.save("mine", Mine(n_estimators=1).fit(iris.data, iris.target))


def test_a_linear_booster_has_no_leaves(cancer: Any) -> None:
    lines = xgboost.XGBClassifier(n_estimators=2, booster="gblinear").fit(cancer.data, cancer.target)
    model = models.save("lines", lines, example=cancer.data[:2])
    assert list(model.info.methods) == ["predict", "predict_proba"]
    assert np.array_equal(model.load().predict(cancer.data), lines.predict(cancer.data))
