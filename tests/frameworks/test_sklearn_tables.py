"""scikit-learn with its pre-processing on data frames, and files of skops and joblib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd
import pytest
from framework_rounds import refuses_damage, served, together
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from tiffin.bundler import models
from tiffin.errors import ModelError
from tiffin.runtime.model.framework import shared_bytes

pytest.importorskip("skops")

RNG = np.random.default_rng(0)
PEOPLE = pd.DataFrame(
    {
        "age": RNG.integers(18, 80, 40),
        "fare": np.where(RNG.random(40) < 0.2, np.nan, RNG.random(40) * 100),
        "town": RNG.choice(["Ulm", "Bern", "Graz"], 40),
        "member": RNG.random(40) < 0.5,
    }
)
BOUGHT = ((PEOPLE["age"] > 45) ^ (PEOPLE["town"] == "Ulm")).map({True: "yes", False: "no"})


def pipeline() -> Any:
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare"]),
        (OneHotEncoder(handle_unknown="ignore"), ["town"]),
        ("passthrough", ["member"]),
    )
    return make_pipeline(prepared, LogisticRegression()).fit(PEOPLE, BOUGHT)


RECORDS = [
    {"town": "Ulm", "age": 30, "fare": 7, "member": True},
    {"age": 71, "fare": None, "town": "Bern", "member": False},
    {"age": 18, "fare": 7.25, "town": "Rom", "member": True},
]


@pytest.mark.parametrize("format_", ["pickle", "skops"])
def test_records_of_several_callers(format_: str, tmp_path: Path) -> None:
    model = models.save("people", pipeline(), example=PEOPLE[:3], options={"format": format_})
    assert model.info.pickled == (format_ == "pickle")
    assert model.info.methods["predict"].inputs["X"].columns is not None
    assert model.classes == ["no", "yes"]
    answers = together(model, "predict_proba", *([record] for record in RECORDS), folder=tmp_path)
    expected = pipeline().predict_proba(pd.DataFrame(RECORDS))
    assert np.allclose(np.concatenate(answers), expected)
    assert [*together(model, "predict", RECORDS[:2], RECORDS[2:], folder=tmp_path)[1]] == [
        pipeline().predict(pd.DataFrame(RECORDS[2:]))[0]
    ]
    refuses_damage(model)


def test_several_outputs_and_frames_out(tmp_path: Path) -> None:
    targets = np.stack([PEOPLE["age"] > 40, PEOPLE["fare"] > 50], axis=1).astype(int)
    numbers = PEOPLE[["age"]].astype(float)
    model = models.save(
        "two", MultiOutputClassifier(LogisticRegression()).fit(numbers, targets), example=numbers[:2]
    )
    first, second = together(
        model, "predict_proba", [{"age": 30}], [{"age": 50.5}, {"age": 4}], folder=tmp_path
    )
    assert [part.shape for part in (*first, *second)] == [(1, 2), (1, 2), (2, 2), (2, 2)]
    scaler = StandardScaler().set_output(transform="pandas").fit(numbers)
    model = models.save("scaled", scaler, example=numbers[:2])
    one, two = together(model, "transform", [{"age": 30}], [{"age": 50.5}], folder=tmp_path)
    assert list(one.columns) == ["age"]
    assert np.allclose(
        [one["age"][0], two["age"][0]], scaler.transform(pd.DataFrame({"age": [30, 50.5]}))["age"]
    )


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(3),
        HistGradientBoostingClassifier(max_iter=2),
        KNeighborsClassifier(algorithm="kd_tree"),
        make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(max_iter=500)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_skops_loads_where_pickles_are_forbidden(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    iris = load_iris()
    estimator.fit(iris.data, iris.target)
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    model = models.save("iris", estimator, example=iris.data[:2], options={"format": "skops"})
    assert [file.path for file in model.info.files] == ["model.skops"]
    assert "skops" in model.info.versions
    assert np.array_equal(model.load().predict(iris.data), estimator.predict(iris.data))


def test_xgboost_inside_a_skops_file(monkeypatch: pytest.MonkeyPatch) -> None:
    xgboost = pytest.importorskip("xgboost")
    iris = load_iris()
    trees = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=2)).fit(iris.data, iris.target)
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    model = models.save("iris", trees, framework="skops")
    assert model.info.framework == "skops"
    assert np.array_equal(model.load().predict(iris.data), trees.predict(iris.data))


def test_types_of_ones_own_are_listed_and_trusted_by_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_steps.py").write_text(
        "from sklearn.preprocessing import StandardScaler\nclass Own(StandardScaler): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_steps  # type: ignore[import-not-found]

    own = own_steps.Own().fit([[1.0], [2.0]])
    with pytest.raises(ModelError, match=r"'trusted': \['own_steps\.Own'\]"):
        models.save("own", own, options={"format": "skops"})
    assert models.list() == []
    model = models.save("own", own, options={"format": "skops", "trusted": ["own_steps.Own"]})
    assert np.array_equal(model.load().transform([[3.0]]), own.transform([[3.0]]))
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match=r"TIFFIN_TRUSTED_TYPES=own_steps\.Own"):
        model.load()
    monkeypatch.setenv("TIFFIN_TRUSTED_TYPES", "own_steps.Own")
    assert np.array_equal(model.load().transform([[3.0]]), own.transform([[3.0]]))


def test_files_of_skops_joblib_and_pickle_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    import skops.io

    iris = load_iris()
    near = KNeighborsClassifier().fit(np.repeat(iris.data, 20, axis=0), np.repeat(iris.target, 20))
    skops.io.dump(near, tmp_path / "near.skops")
    joblib.dump(near, tmp_path / "near.joblib")
    joblib.dump(near, tmp_path / "small.joblib", compress=3)
    (tmp_path / "near.pkl").write_bytes(pickle.dumps(near))
    kept = {}
    for name in ("near.skops", "near.joblib", "small.joblib", "near.pkl"):
        model = kept[name] = models.save("near", tmp_path / name, framework="sklearn", example=iris.data[:2])
        file = model.info.files[0].path
        assert (model.path / file).read_bytes() == (tmp_path / name).read_bytes()
        assert np.array_equal(model.load().predict(iris.data), near.predict(iris.data))
    assert isinstance(kept["near.joblib"].load()._fit_X, np.memmap)
    assert shared_bytes(kept["near.joblib"].info) > 50_000
    assert shared_bytes(kept["small.joblib"].info) == 0
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match=r"near\.joblib is a pickle"):
        models.save("near", tmp_path / "near.joblib", framework="sklearn")
    assert models.save("near", tmp_path / "near.skops", framework="skops").load().classes_.tolist() == [
        0,
        1,
        2,
    ]


def test_options_that_mean_nothing() -> None:
    scaler = StandardScaler().fit([[1.0]])
    with pytest.raises(ModelError, match="use 'pickle' or 'skops'"):
        models.save("m", scaler, options={"format": "json"})
    with pytest.raises(ModelError, match="a pickle makes any"):
        models.save("m", scaler, options={"trusted": ["a.B"]})


SERVICE = """
import pandas as pd

import tiffin


@tiffin.service
class People:
    people = tiffin.runner("people:latest")

    @tiffin.api
    async def buys(self, rows: pd.DataFrame) -> list[str]:
        return (await self.people.predict(rows)).tolist()
"""


def test_served_from_a_bundle_where_pickles_are_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.save("people", pipeline(), example=PEOPLE[:3], options={"format": "skops"})
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with served(tmp_path, SERVICE) as server:
        answer = httpx.post(f"{server.base_url}/buys", json={"rows": RECORDS[:2]}, timeout=30)
        assert answer.json() == pipeline().predict(pd.DataFrame(RECORDS[:2])).tolist()
        text = "age,fare,town,member\n30,7,Ulm,True\n"
        csv = httpx.post(
            f"{server.base_url}/buys", content=text, headers={"content-type": "text/csv"}, timeout=30
        )
        assert csv.json() == answer.json()[:1]
