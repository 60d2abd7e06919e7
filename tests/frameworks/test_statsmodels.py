from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from framework_rounds import refuses_damage, served, together

from tiffin.bundler import models
from tiffin.errors import ModelError

pytest.importorskip("statsmodels")
import statsmodels.api as sm
import statsmodels.formula.api as smf


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, group = rng.normal(size=60), rng.choice(["a", "b"], 60)
    return pd.DataFrame({"x": x, "group": group, "y": 2 * x + (group == "a") + 0.1 * rng.normal(size=60)})


def test_a_formula_on_records(data: pd.DataFrame, tmp_path: Path) -> None:
    results = smf.ols("y ~ x + C(group)", data).fit()
    model = models.save("line", results, example=data[["x", "group"]][:3])
    assert (model.info.framework, model.info.pickled) == ("statsmodels", True)
    assert list(model.info.methods) == ["predict", "get_prediction"]
    assert model.info.methods["predict"].inputs["exog"].columns is not None
    assert {"statsmodels", "pandas"} <= model.info.versions.keys()
    records = [{"group": "b", "x": 1}, {"group": "a", "x": 0}, {"group": "b", "x": -1}]
    one, two = together(model, "predict", records[:1], records[1:], folder=tmp_path)
    assert np.allclose(np.concatenate([one, two]), results.predict(pd.DataFrame(records)))
    one, two = together(model, "get_prediction", records[:1], records[1:], folder=tmp_path)
    expected = results.get_prediction(pd.DataFrame(records)).summary_frame()
    assert list(one.columns) == list(expected.columns)
    assert np.allclose(pd.concat([one, two]), expected)
    refuses_damage(model)


@pytest.mark.parametrize("kind", ["ols", "logit", "glm"])
def test_arrays(kind: str, data: pd.DataFrame, tmp_path: Path) -> None:
    x = sm.add_constant(data["x"].to_numpy())
    y = data["y"].to_numpy()
    results = {
        "ols": lambda: sm.OLS(y, x).fit(),
        "logit": lambda: sm.Logit((y + data["group"].eq("a") > 0.7).astype(int).to_numpy(), x).fit(disp=0),
        "glm": lambda: sm.GLM(y, x, family=sm.families.Gaussian()).fit(),
    }[kind]()
    model = models.save("m", results, example=x[:2])
    one, two = together(model, "predict", x[:5], x[5:], folder=tmp_path)
    assert np.array_equal(np.concatenate([one, two]), results.predict(x))


def test_a_time_series_is_asked_for_steps() -> None:
    values = np.cumsum(np.random.default_rng(0).normal(size=80))
    results: Any = sm.tsa.ARIMA(values, order=(1, 0, 0)).fit()
    model = models.save("series", results, example=3)
    assert list(model.info.methods) == ["forecast", "get_forecast"]
    assert not model.info.methods["forecast"].batch
    loaded, call = model.load(), model.framework.call
    assert np.array_equal(call(loaded, "forecast", 4), results.forecast(4))
    assert list(call(loaded, "get_forecast", 4).columns) == list(results.get_forecast(4).summary_frame())


def test_without_the_rows_it_was_trained_on(data: pd.DataFrame) -> None:
    big = pd.concat([data] * 200, ignore_index=True)
    results = smf.ols("y ~ x + C(group)", big).fit()
    whole = models.save("line", results)
    small = models.save("line", results, options={"remove_data": True})
    assert small.info.size_bytes < whole.info.size_bytes / 2
    assert list(small.info.methods) == ["predict"]
    assert results.model.exog is not None  # the user's own keeps them
    assert np.allclose(small.load().predict(data[:3]), results.predict(data[:3]))


def test_pickles_are_refused_where_they_are_forbidden(
    data: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = smf.ols("y ~ x", data).fit()
    model = models.save("line", results)
    results.save(tmp_path / "line.pickle")
    copied = models.save("copied", tmp_path / "line.pickle", framework="statsmodels", example=data[["x"]][:2])
    assert (copied.path / "results.pkl").read_bytes() == (tmp_path / "line.pickle").read_bytes()
    assert np.allclose(copied.load().predict(data[:3]), results.predict(data[:3]))
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE forbids"):
        model.load()
    with pytest.raises(ModelError, match=r"line\.pickle is a pickle"):
        models.save("copied", tmp_path / "line.pickle", framework="statsmodels")


SERVICE = """
import pandas as pd

import tiffin


@tiffin.service
class Line:
    line = tiffin.runner("line:latest")

    @tiffin.api
    async def value(self, rows: pd.DataFrame) -> list[float]:
        return (await self.line.predict(rows)).tolist()

    @tiffin.api
    async def interval(self, rows: pd.DataFrame) -> pd.DataFrame:
        return await self.line.get_prediction(rows)
"""


def test_served_from_a_bundle(data: pd.DataFrame, tmp_path: Path) -> None:
    results = smf.ols("y ~ x + C(group)", data).fit()
    models.save("line", results, example=data[["x", "group"]][:3])
    rows = [{"x": 1, "group": "a"}, {"x": 0.5, "group": "b"}]
    with served(tmp_path, SERVICE) as server:
        answer = httpx.post(f"{server.base_url}/value", json={"rows": rows}, timeout=30)
        assert np.allclose(answer.json(), results.predict(pd.DataFrame(rows)))
        intervals = httpx.post(f"{server.base_url}/interval", json={"rows": rows}, timeout=30).json()
        assert intervals[0]["mean_ci_lower"] < intervals[0]["mean"] < intervals[0]["mean_ci_upper"]
