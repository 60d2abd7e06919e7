"""Files of weights, as safetensors and as torch writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tiffin.bundler import models
from tiffin.errors import ModelError

INIT = {"in_features": 4, "out_features": 3}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    return tmp_path


@pytest.mark.parametrize("form", ["safetensors", "pt"])
def test_a_file_of_weights(home: Path, form: str) -> None:
    net = torch.nn.Linear(4, 3).eval()
    path = home / f"weights.{form}"
    if form == "pt":
        torch.save(net.state_dict(), path)
    else:
        save_file(net.state_dict(), path)
    with pytest.raises(ModelError, match="give their class too"):
        models.save("net", path, framework="torch")
    options = {"class": torch.nn.Linear, "init": INIT}
    model = models.save("net", path, framework="torch", options=options, example=torch.ones(2, 4))
    assert not model.info.pickled
    assert torch.equal(model.load("cpu")(torch.ones(2, 4)), net(torch.ones(2, 4)))
    if form == "safetensors":
        assert (model.path / "weights.safetensors").read_bytes() == path.read_bytes()


def test_files_that_are_more_than_weights(home: Path) -> None:
    torch.save(torch.nn.Linear(4, 3), home / "module.pt")
    torch.save({"epoch": 3, "weights": torch.ones(2)}, home / "checkpoint.pt")
    (home / "text.pt").write_text("no weights at all")
    options = {"class": torch.nn.Linear, "init": INIT}
    for name in ("module", "checkpoint", "text", "missing"):
        with pytest.raises(ModelError, match="is no"):
            models.save("net", home / f"{name}.pt", framework="torch", options=options)
