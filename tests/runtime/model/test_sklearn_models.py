from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fresh_process import run_fresh
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from tiffin.bundler import models
from tiffin.errors import ModelError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def iris() -> Any:
    return load_iris()


@pytest.mark.parametrize(
    ("estimator", "data", "methods"),
    [
        (
            RandomForestClassifier(20),
            load_breast_cancer,
            ["predict", "predict_proba", "predict_log_proba"],
        ),
        (SVC(), load_digits, ["predict", "decision_function"]),
        (LinearRegression(), load_iris, ["predict"]),
        (make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), load_iris, ["predict"]),
        (StandardScaler(), load_iris, ["transform"]),
        (KMeans(3, n_init=1), load_iris, ["predict", "transform"]),
        (KNeighborsClassifier(), load_iris, ["predict", "predict_proba", "kneighbors"]),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_round_trip(estimator: Any, data: Any, methods: list[str]) -> None:
    x, y = data(return_X_y=True)
    estimator.fit(x, y)
    model = models.save("m", estimator, example=x[:3])
    assert model.info.framework == "sklearn"
    assert model.info.pickled
    assert next(iter(model.info.methods)) == methods[0]
    assert set(methods) <= model.info.methods.keys()
    assert all(spec.batch for spec in model.info.methods.values())
    loaded = model.load()
    for method in model.info.methods:
        with np.errstate(divide="ignore"):
            expected = getattr(estimator, method)(x[:20])
            got = model.framework.call(loaded, method, x[:20])
        for one, other in zip(np.atleast_1d(got), np.atleast_1d(expected), strict=True):
            assert np.array_equal(one, other)


def test_a_data_frame_gives_its_columns(iris: Any) -> None:
    frame = pd.DataFrame(iris.data, columns=iris.feature_names)
    forest = RandomForestClassifier(3).fit(frame, iris.target_names[iris.target])
    model = models.save("iris", forest, example=frame[:2])
    assert list(model.info.methods["predict"].inputs["X"].columns or {}) == iris.feature_names
    assert model.classes == ["setosa", "versicolor", "virginica"]  # the words it was trained with
    output = model.info.methods["predict"].output
    assert output is not None and output.classes == 3


def test_sparse_results_leave_as_arrays() -> None:
    words = TfidfVectorizer().fit(["good day", "bad day"])
    model = models.save("words", words, example=["a good day", "no day"])
    spec = model.info.methods["transform"]
    assert spec.batch
    assert spec.inputs["raw_documents"].json_schema == {"type": "array", "items": {"type": "string"}}
    result = model.framework.call(model.load(), "transform", ["good"])
    assert isinstance(result, np.ndarray)
    assert result.shape == (1, 3)


def halve(x: Any) -> Any:
    return x / 2


@pytest.mark.parametrize("step", [halve, lambda x: x / 2], ids=["module", "lambda"])
def test_code_that_is_not_installed_travels_along(step: Any, iris: Any, home: Path) -> None:
    pipeline = make_pipeline(FunctionTransformer(step), LogisticRegression(max_iter=500))
    pipeline.fit(iris.data, iris.target)
    model = models.save("iris", pipeline, example=iris.data[:2])
    assert [file.path for file in model.info.files] == ["model.pkl"]
    np.save(home / "x.npy", iris.data)
    out = run_fresh(
        "import tiffin, numpy as np; m = tiffin.models.get('iris');"
        "print(int(m.load().predict(np.load('x.npy')).sum()))",
        home,
    )
    assert int(out) == pipeline.predict(iris.data).sum()


def test_versions_name_the_libraries_of_steps(iris: Any) -> None:
    xgboost = pytest.importorskip("xgboost")
    pipeline = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=2))
    model = models.save("iris", pipeline.fit(iris.data, iris.target))
    assert model.info.framework == "sklearn"
    assert {"scikit-learn", "xgboost"} <= model.info.versions.keys()


def test_options_mean_nothing_here() -> None:
    with pytest.raises(ModelError, match=r"'init'.* for a scikit-learn model; it takes format, trusted"):
        models.save("m", StandardScaler(), options={"init": {}})


def test_an_estimator_that_answers_nothing_is_refused(iris: Any) -> None:
    with pytest.raises(ModelError, match="DBSCAN has none of predict, "):
        models.save("clusters", DBSCAN().fit(iris.data))
    assert models.list() == []


def test_logarithms_of_zero_warn_nobody(iris: Any) -> None:
    """A worker warms itself with zeros, of which a forest is sure."""
    forest = RandomForestClassifier(3, random_state=0).fit(iris.data, iris.target)
    model = models.save("m", forest, example=iris.data[:2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = model.framework.call(model.load(), "predict_log_proba", np.zeros((1, 4)))
    assert np.isneginf(found).any()
    other = FunctionTransformer(np.log).fit(iris.data)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        model.framework.call(other, "transform", np.zeros((1, 4)))
