"""Weights that workers share: they lie in a mapping of the model's file, not in memory of the process."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xgboost
from memory_behind import file_behind
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from tiffin.bundler import models
from tiffin.errors import IntegrityError
from tiffin.runtime.model.buffers import ALIGNMENT, MIN_BYTES, Sink, mapped
from tiffin.runtime.model.framework import shared_bytes
from tiffin.runtime.model.pickles import dump, load

LARGE = MIN_BYTES // 4


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    return tmp_path


class Rows:
    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def predict(self, x: Any) -> Any:
        return self.rows[: len(x)] + x


def behind(array: Any) -> str:
    return file_behind(array.__array_interface__["data"][0])


def test_an_object_with_a_large_array() -> None:
    rows = np.arange(LARGE, dtype=np.float32).reshape(-1, 4)
    model = models.save("m", Rows(rows), example=np.ones((1, 4), np.float32))
    loaded = model.load()
    assert behind(loaded.rows) == "object.buffers"
    assert type(loaded.rows) is np.ndarray
    assert np.array_equal(loaded.rows, rows)
    assert shared_bytes(model.info) >= rows.nbytes
    loaded.rows[0] = 7.0  # as some code of the user's may
    assert np.array_equal(model.load().rows, rows), "the file is as it was"
    model.verify()


def test_an_estimator() -> None:
    x = np.random.default_rng(0).random((LARGE // 16, 16), np.float32)
    y = np.arange(len(x)) % 3
    neighbours = KNeighborsClassifier(algorithm="brute").fit(x, y)
    model = models.save("m", neighbours, example=x[:2])
    loaded = model.load()
    assert behind(loaded._fit_X) == "model.buffers"
    assert np.array_equal(loaded.predict(x[:9]), neighbours.predict(x[:9]))


def test_boosted_trees_of_sklearn() -> None:
    x = np.random.default_rng(0).random((2000, 4))
    deep = {"max_iter": 1, "max_leaf_nodes": None, "min_samples_leaf": 1}
    with threadpool_limits(1):  # many threads on few cores wait for each other for ever
        boosted = HistGradientBoostingRegressor(**deep).fit(x, x[:, 0] + x[:, 1])
        loaded = models.save("m", boosted, example=x[:2]).load()
        assert behind(loaded._predictors[0][0].nodes) == "model.buffers"
        assert np.array_equal(loaded.predict(x), boosted.predict(x))


def test_a_module_as_safetensors_and_as_a_pickle() -> None:
    module = torch.nn.Linear(256, 256).eval()
    row = torch.ones(1, 256)
    safe = models.save("safe", module, options={"init": {"in_features": 256, "out_features": 256}})
    whole = models.save("whole", module, options={"format": "pickle"})
    for model, file in ((safe, "weights.safetensors"), (whole, "module.pt")):
        loaded = model.load("cpu")
        assert file_behind(loaded.weight.data_ptr()) == file
        assert torch.equal(loaded(row), module(row))
        assert shared_bytes(model.info) > 256 * 256 * 4
        with torch.no_grad():
            loaded.weight.zero_()
        model.verify()
        assert torch.equal(model.load("cpu")(row), module(row)), "the file is as it was"


class Scripted(torch.nn.Module):
    """Two names of one weight, a view of a buffer, a half, a bias that is too small to be worth a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tied = torch.nn.Linear(256, 256, bias=False)
        self.same = torch.nn.Linear(256, 256, bias=False)
        self.same.weight = self.tied.weight
        self.last = torch.nn.Linear(256, 256)
        self.register_buffer("table", torch.randn(256, 256))
        self.register_buffer("view", self.table[1:])
        self.register_buffer("coarse", torch.randn(256, 256).half())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(self.same(self.tied(x)) @ self.table)
        return out + self.view.sum() + self.coarse.float().mean()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of TorchScript
@pytest.mark.parametrize("make", ["trace", "script", "freeze"])
def test_torchscript(make: str) -> None:
    module, row = Scripted().eval(), torch.ones(2, 256)
    made = torch.jit.trace(module, row) if make == "trace" else torch.jit.script(module)
    made = torch.jit.freeze(made) if make == "freeze" else made
    model = models.save("m", made, example=row.numpy())
    loaded = model.load("cpu")
    weights = loaded.state_dict()
    if make == "freeze":
        nodes = [node for node in loaded.graph.findAllNodes("prim::Constant") if node.hasAttribute("value")]
        weights = {str(node): node.t("value") for node in nodes if node.kindOf("value") == "t"}
    large = {name: tensor for name, tensor in weights.items() if tensor.nbytes >= MIN_BYTES}
    assert len(large) >= 3
    assert {file_behind(tensor.data_ptr()) for tensor in large.values()} == {"module.pt"}
    assert all(tensor.data_ptr() % ALIGNMENT == 0 for name, tensor in large.items() if name != "view")
    if make != "freeze":
        assert weights["tied.weight"].data_ptr() == weights["same.weight"].data_ptr()
        assert weights["view"].data_ptr() == weights["table"][1:].data_ptr()
        assert file_behind(weights["last.bias"].data_ptr()) != "module.pt"
    assert torch.equal(loaded(row), made(row))
    assert shared_bytes(model.info) > sum(tensor.nbytes for tensor in large.values()) / 2
    with torch.no_grad():
        for tensor in large.values():
            tensor.zero_()
    assert not torch.equal(loaded(row), made(row)), "what was exchanged is what it computes with"
    model.verify()
    assert torch.equal(model.load("cpu")(row), made(row)), "the file is as it was"


def test_what_is_not_shared_says_so() -> None:
    x = np.random.default_rng(0).random((50, 4))
    model = models.save("m", xgboost.XGBRegressor(n_estimators=2).fit(x, x[:, 0]), example=x[:2])
    assert shared_bytes(model.info) == 0


def test_small_arrays_stay_in_the_pickle(tmp_path: Path) -> None:
    file = tmp_path / "o.pkl"
    dump({"small": np.ones(8), "words": ["a"]}, file)
    assert [path.name for path in tmp_path.iterdir()] == ["o.pkl"]
    assert load(file)["words"] == ["a"]


def test_layouts_and_data_frames(tmp_path: Path) -> None:
    file = tmp_path / "o.pkl"
    fortran = np.asfortranarray(np.arange(LARGE, dtype=np.int64).reshape(4, -1))
    frozen = np.ones(LARGE + 1, np.uint8).repeat(5)
    frozen.flags.writeable = False
    frame = pd.DataFrame(np.arange(2.0 * LARGE).reshape(-1, 2), columns=["a", "b"])
    dump([fortran, frozen, frame, fortran.T[::2]], file)
    one, two, three, four = load(file)
    assert np.array_equal(one, fortran) and one.flags.f_contiguous and behind(one) == "o.buffers"
    assert np.array_equal(two, frozen) and not two.flags.writeable
    assert three.equals(frame)
    assert np.array_equal(four, fortran.T[::2])
    assert all(array.__array_interface__["data"][0] % ALIGNMENT == 0 for array in (one, two))


def test_a_cut_file(tmp_path: Path) -> None:
    sink = Sink()
    pickle.dumps(np.ones(LARGE), protocol=5, buffer_callback=sink)
    file = tmp_path / "x.buffers"
    sink.write(file)
    assert [view.nbytes for view in mapped(file)] == [LARGE * 8]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=r"x\.buffers is damaged"):
        mapped(file)
    assert mapped(tmp_path / "none.buffers") == []
