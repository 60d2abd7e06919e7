"""Programs of torch.export."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from memory_behind import file_behind
from through_runner import through_runner

from tiffin.bundler import models
from tiffin.errors import ModelError
from tiffin.runtime.model.framework import shared_bytes


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(256, 256)
        self.last = torch.nn.Linear(256, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.last(torch.relu(self.first(x)))
        return scores


class Named(Net):
    def forward(self, x: torch.Tensor) -> Any:
        return {"scores": super().forward(x), "total": x.sum(1)}


@pytest.fixture
def net() -> Any:
    torch.manual_seed(0)
    return Net().eval()


def exported(net: Any, rows: int = 2, *, dynamic: bool = True) -> Any:
    shapes = {"x": {0: torch.export.Dim("n", min=1, max=1024)}} if dynamic else None
    return torch.export.export(net, (torch.ones(rows, 256),), dynamic_shapes=shapes)


def test_a_program_comes_back_as_it_was(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    x = np.random.default_rng(0).random((5, 256), np.float32)
    model = models.save("net", exported(net), example=x)
    assert (model.info.framework, model.info.pickled) == ("torch_export", False)
    loaded = model.load("cpu")
    expected = net(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(model.framework.call(loaded, "predict", x), expected, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(through_runner(model, x[:1], x[1:])), expected, atol=1e-5)
    weight = loaded.state_dict()["first.weight"]
    assert file_behind(weight.data_ptr()) == "program.pt2"
    assert shared_bytes(model.info) > weight.nbytes


def test_the_signature_is_in_the_program(net: Any) -> None:
    spec = models.save("net", exported(net)).info.methods["predict"]
    assert spec.batch
    assert [(name, kind.dtype, kind.shape) for name, kind in spec.inputs.items()] == [
        ("x", "float32", ["n", 256])
    ]
    assert spec.output is not None
    assert spec.output.shape == ["n", 3]


def test_dicts(net: Any) -> None:
    named = Named().eval()
    x = np.random.default_rng(0).random((4, 256), np.float32)
    model = models.save("named", exported(named), example=x)
    first, second = through_runner(model, x[:3], x[3:])
    assert first["scores"].shape == (3, 3)
    np.testing.assert_allclose(second["total"], x[3:].sum(1), rtol=1e-5)


def test_a_fixed_number_of_rows_is_filled_up(net: Any) -> None:
    x = np.random.default_rng(0).random((4, 256), np.float32)
    model = models.save("net", exported(net, 4, dynamic=False), example=x)
    assert model.info.methods["predict"].sizes == [4]
    expected = net(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(np.concatenate(through_runner(model, x[:1], x[1:3])), expected[:3], atol=1e-5)


def test_a_file_is_copied_as_it_is(net: Any, tmp_path: Path) -> None:
    torch.export.save(exported(net), tmp_path / "net.pt2")
    model = models.save("net", tmp_path / "net.pt2", framework="torch_export")
    assert (model.path / "program.pt2").read_bytes() == (tmp_path / "net.pt2").read_bytes()
    x = np.ones((2, 256), np.float32)
    np.testing.assert_allclose(
        model.framework.call(model.load("cpu"), "predict", x),
        net(torch.from_numpy(x)).detach().numpy(),
        atol=1e-6,
    )


def test_a_pickle_inside_is_refused(net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.pt2"
    torch.export.save(exported(net), path)
    hostile = tmp_path / "hostile.pt2"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(hostile, "w") as new:
        for entry in old.infolist():
            inputs = "sample_inputs" in entry.filename
            new.writestr(entry.filename, pickle.dumps(print) if inputs else old.read(entry))
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    with pytest.raises(ModelError, match="example inputs are more than tensors"):
        models.save("net", hostile, framework="torch_export")
    with pytest.raises(ModelError, match=r"was not written by torch\.export\.save"):
        models.save("net", Path(__file__), framework="torch_export")
