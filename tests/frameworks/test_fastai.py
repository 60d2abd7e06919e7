"""fastai learners on tables. Those on images need torchvision, which PyPI has for CUDA only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from memory_behind import file_behind
from through_runner import through_runner

from tiffin.bundler import models
from tiffin.errors import ModelError

pytest.importorskip("fastai")


def frame() -> pd.DataFrame:
    chance = np.random.default_rng(0)
    made = pd.DataFrame(
        {"a": chance.normal(size=64), "b": chance.normal(size=64), "c": chance.choice(["x", "y"], 64)}
    )
    made["y"] = np.where(made["a"] > 0, "pos", "neg")
    return made


@pytest.fixture(scope="module")
def learner() -> Any:
    import torch
    from fastai.tabular.all import Categorify, CategoryBlock, Normalize, TabularDataLoaders, tabular_learner

    torch.manual_seed(0)
    loaders = TabularDataLoaders.from_df(
        frame(),
        procs=[Categorify, Normalize],
        cat_names=["c"],
        cont_names=["a", "b"],
        y_names="y",
        y_block=CategoryBlock(),
        bs=16,
        device=torch.device("cpu"),
        num_workers=0,
    )
    made = tabular_learner(loaders, layers=[200, 100], n_out=2)
    with made.no_bar(), made.no_logging():
        made.fit(1)
    return made


ROWS = frame().drop(columns="y").iloc[:5]


def test_a_learner_comes_back_as_it_was(learner: Any) -> None:
    model = models.save("table", learner, example=ROWS, classes=list(learner.dls.vocab))
    assert (model.info.framework, model.info.pickled) == ("fastai", True)
    expected = np.stack([learner.predict(row)[2].numpy() for _, row in ROWS.iterrows()])
    loaded = model.load("cpu")
    np.testing.assert_allclose(model.framework.call(loaded, "predict_proba", ROWS), expected, atol=1e-5)
    one, rest = through_runner(model, ROWS[:1], ROWS[1:].reset_index(drop=True), method="predict")
    assert [*one, *rest] == expected.argmax(1).tolist()
    records = model.framework.call(loaded, "predict", ROWS.to_dict("records"))
    assert records.tolist() == expected.argmax(1).tolist()
    weight = max(loaded.model.parameters(), key=lambda one: one.numel())
    assert file_behind(weight.data_ptr()) == "learner.pkl"


def test_a_pickle_can_be_refused(learner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner.export(tmp_path / "export.pkl")
    model = models.save("table", tmp_path / "export.pkl", framework="fastai", example=ROWS)
    assert (model.path / "learner.pkl").read_bytes() == (tmp_path / "export.pkl").read_bytes()
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE forbids"):
        model.load("cpu")
    with pytest.raises(ModelError, match="TIFFIN_ALLOW_PICKLE forbids"):
        models.save("table", tmp_path / "export.pkl", framework="fastai")
