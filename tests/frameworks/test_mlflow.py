from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from framework_rounds import refuses_damage, served, together
from sklearn.linear_model import LinearRegression, LogisticRegression

from tiffin.bundler import models
from tiffin.errors import ModelError

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
mlflow = pytest.importorskip("mlflow")
pytest.importorskip("mlflow.pyfunc")
from mlflow.models import infer_signature  # noqa: E402

HOUSES = pd.DataFrame({"area": [50.0, 80.0, 120.0, 60.0], "rooms": [2, 3, 5, 2], "town": ["Ulm", "Bern"] * 2})
PRICES = np.array([100.0, 200.0, 310.0, 130.0])
NO_NEEDS: dict[str, Any] = {"pip_requirements": ["scikit-learn"]}  # it would start a process to find out


def double() -> Any:
    """A model of one's own, made here: MLflow has a warning for every way to write its class."""

    class Double(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return model_input["area"] * (params or {}).get("times", 2)

    return Double()


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """A folder with a scikit-learn model in a skops file."""
    import mlflow.sklearn

    numbers = HOUSES[["area", "rooms"]]
    folder = tmp_path / "lines"
    mlflow.sklearn.save_model(
        LinearRegression().fit(numbers, PRICES),
        folder,
        signature=infer_signature(numbers.astype({"rooms": "float64"}), PRICES),
        serialization_format="skops",
        **NO_NEEDS,
    )
    return folder


def test_a_folder_with_a_signature(lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skops")
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    model = models.save(
        "lines", lines, framework="mlflow", example=HOUSES[["area", "rooms"]][:2].astype(float)
    )
    assert (model.info.framework, model.info.pickled) == ("mlflow", False)
    assert "scikit-learn" in model.info.versions
    spec = next(iter(model.info.methods["predict"].inputs.values()))
    assert spec.columns == {"area": "float64", "rooms": "float64"}
    for file in model.info.files:
        assert (model.path / file.path).read_bytes() == (
            lines / Path(file.path).relative_to("model")
        ).read_bytes()
    records = [{"rooms": 2, "area": 50}, {"rooms": 3.5, "area": 80.5}, {"rooms": 1, "area": 20}]
    one, two = together(model, "predict", records[:1], records[1:], folder=tmp_path)
    expected = mlflow.pyfunc.load_model(str(lines)).predict(pd.DataFrame(records).astype(float))
    assert np.allclose(np.concatenate([one, two]), expected)
    refuses_damage(model)


def test_code_of_ones_own_is_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.save("double", double(), example=HOUSES[:2])
    assert model.info.pickled
    one, two = together(model, "predict", HOUSES[:1], HOUSES[1:], folder=tmp_path)
    assert [*one, *two] == [100.0, 160.0, 240.0, 120.0]
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE forbids"):
        model.load()
    with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE forbids"):
        models.save("double", double())


def test_the_example_in_the_folder_counts(tmp_path: Path) -> None:
    folder = tmp_path / "double"
    mlflow.pyfunc.save_model(
        folder,
        python_model=double(),
        input_example=HOUSES[:2],
        signature=infer_signature(HOUSES, HOUSES["area"]),
        **NO_NEEDS,
    )
    model = models.save("double", folder, framework="mlflow")
    spec = model.info.methods["predict"]
    assert spec.batch
    assert spec.output is not None and spec.output.shape == ["n"]
    columns = next(iter(spec.inputs.values())).columns
    assert columns is not None and list(columns) == ["area", "rooms", "town"]


def test_without_an_example_zeros_tell_what_comes_out(tmp_path: Path) -> None:
    numbers = np.arange(12.0).reshape(6, 2)
    model = LogisticRegression().fit(numbers, [0, 1] * 3)
    mlflow.sklearn.save_model(
        model, str(tmp_path / "m"), signature=infer_signature(numbers, model.predict(numbers))
    )
    spec = models.save("m", tmp_path / "m", framework="mlflow").info.methods["predict"]
    assert spec.inputs["data"].shape == ["n", 2]
    assert spec.output is not None
    assert (spec.output.dtype, spec.output.shape) == ("int64", ["n"])


def test_lies_about_a_pickle_are_not_believed(tmp_path: Path) -> None:
    from tiffin.errors import IntegrityError
    from tiffin.runtime.model.frameworks.mlflow import MlflowFramework

    model = models.save("double", double(), example=HOUSES[:2])
    model.info.pickled = False
    with pytest.raises(IntegrityError, match="its manifest denies it"):
        MlflowFramework().load(model.path, model.info, "cpu")


def test_which_flavors_hold_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow.lightgbm
    import mlflow.xgboost

    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    numbers = np.random.default_rng(0).random((60, 2))
    trees = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(numbers, numbers[:, 0])
    mlflow.lightgbm.save_model(trees.booster_, tmp_path / "text", **NO_NEEDS)
    mlflow.lightgbm.save_model(trees, tmp_path / "wrapper", serialization_format="cloudpickle", **NO_NEEDS)
    boost = xgboost.XGBRegressor(n_estimators=2).fit(numbers, numbers[:, 0])
    mlflow.xgboost.save_model(boost, tmp_path / "boost", **NO_NEEDS)
    assert models.save("wrapper", tmp_path / "wrapper", framework="mlflow", example=numbers[:2]).info.pickled
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="wrapper is a pickle"):
        models.save("wrapper", tmp_path / "wrapper", framework="mlflow")
    for name, own in (("text", trees), ("boost", boost)):
        model = models.save(name, tmp_path / name, framework="mlflow", example=numbers[:2])
        assert not model.info.pickled
        assert np.allclose(model.load().predict(numbers), own.predict(numbers))
    manifest = tmp_path / "boost" / "MLmodel"
    manifest.write_text(manifest.read_text().replace("xgboost.sklearn.XGBRegressor", "os.getcwd"))
    with pytest.raises(ModelError, match="boost is a pickle"):
        models.save("boost", tmp_path / "boost", framework="mlflow")


def test_what_is_no_model(lines: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no folder of an MLflow model"):
        models.save("m", tmp_path, framework="mlflow")
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {}}")
    with pytest.raises(ModelError, match="names no flavor python_function"):
        models.save("m", tmp_path, framework="mlflow")
    pytest.importorskip("skops")
    with pytest.raises(ModelError, match="save the folder"):
        models.save("m", mlflow.pyfunc.load_model(str(lines)))


SERVICE = """
import pandas as pd

import tiffin


@tiffin.service
class Houses:
    double = tiffin.runner("double:latest")

    @tiffin.api
    async def value(self, rows: pd.DataFrame) -> list[float]:
        return (await self.double.predict(rows)).tolist()
"""


def test_served_from_a_bundle(tmp_path: Path) -> None:
    models.save("double", double(), example=HOUSES[:2])
    with served(tmp_path, SERVICE) as server:
        rows = [{"area": 10, "rooms": 1, "town": "Ulm"}, {"area": 2.5, "rooms": 1, "town": "Bern"}]
        answer = httpx.post(f"{server.base_url}/value", json={"rows": rows}, timeout=30)
        assert answer.json() == [20, 5]


@pytest.mark.parametrize("flavor", ["catboost", "onnx"])
def test_flavors_without_code(flavor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    x, y = np.random.default_rng(0).random((40, 4)).astype(np.float32), np.arange(40) % 3
    library = pytest.importorskip(flavor)
    written: Any
    if flavor == "catboost":
        from mlflow import catboost as writer

        written = library.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False).fit(x, y)
        expected = written.predict(x)
    else:
        from mlflow import onnx as writer
        from skl2onnx import to_onnx

        linear = LogisticRegression().fit(x, y)
        written = to_onnx(linear, x[:1], options={"zipmap": False})
        expected = linear.predict_proba(x)
    writer.save_model(written, tmp_path / flavor, input_example=x[:2], pip_requirements=[flavor])
    model = models.save("model", tmp_path / flavor, framework="mlflow")
    assert not model.info.pickled
    assert flavor in model.info.versions
    parts = together(model, "predict", x[:1], x[1:], folder=tmp_path)
    answers = [part if flavor == "catboost" else part["probabilities"] for part in parts]
    np.testing.assert_allclose(np.concatenate(answers), expected, atol=1e-5)
