"""Modules of PyTorch Lightning, trained by its trainer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_behind import file_behind
from through_runner import through_runner

from tiffin.bundler import models
from tiffin.errors import ModelError

lightning = pytest.importorskip("lightning")

MODULE = """
import lightning
import torch


class Net(lightning.LightningModule):
    def __init__(self, width: int = 8, lr: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.first = torch.nn.Linear(256, width)
        self.last = torch.nn.Linear(width, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))

    def training_step(self, batch, place):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.lr)


class Classes(Net):
    def predict_step(self, batch, place):
        return self(batch).argmax(1)
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "lightning_nets.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("lightning_nets", None)
    return __import__("lightning_nets")


def trained(net: Any) -> tuple[Any, Any]:
    import torch

    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(8, 256), torch.randint(0, 3, (8,)))
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(net, torch.utils.data.DataLoader(data, batch_size=4))
    return net.eval(), trainer


def test_a_trained_module_comes_back(nets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    net, _ = trained(nets.Net(width=128))
    x = np.random.default_rng(0).random((4, 256), np.float32)
    model = models.save("net", net, example=x)
    assert (model.info.framework, model.info.pickled) == ("lightning", False)
    assert model.info.options["init"] == {"width": 128, "lr": 0.1}
    expected = net(torch.from_numpy(x)).detach().numpy()
    loaded = model.load("cpu")
    np.testing.assert_allclose(model.framework.call(loaded, "predict", x), expected, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(through_runner(model, x[:1], x[1:])), expected, atol=1e-5)
    assert file_behind(loaded.first.weight.data_ptr()) == "weights.safetensors"


def test_predict_step(nets: Any) -> None:
    import torch

    net, _ = trained(nets.Classes())
    x = np.random.default_rng(0).random((4, 256), np.float32)
    model = models.save("net", net, example=x)
    expected = net(torch.from_numpy(x)).argmax(1).numpy()
    assert np.array_equal(np.concatenate(through_runner(model, x[:3], x[3:])), expected)
    assert [*model.info.methods["predict"].inputs] == ["batch"]


def test_a_checkpoint(nets: Any, tmp_path: Path) -> None:
    import torch

    net, trainer = trained(nets.Net(width=16))
    trainer.save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    x = np.ones((2, 256), np.float32)
    with pytest.raises(ModelError, match="give the class too"):
        models.save("net", tmp_path / "last.ckpt", framework="lightning")
    model = models.save(
        "net", tmp_path / "last.ckpt", framework="lightning", options={"class": nets.Net}, example=x
    )
    assert not model.info.pickled
    given = model.framework.call(model.load("cpu"), "predict", x)
    np.testing.assert_allclose(given, net(torch.from_numpy(x)).detach().numpy(), atol=1e-6)
