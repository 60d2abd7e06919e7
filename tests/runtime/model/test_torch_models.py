from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fresh_process import run_fresh
from project_net import DigitNet, InPlace, Scaled, Tied
from sklearn.datasets import load_digits
from torch import nn

from tiffin.bundler import models
from tiffin.errors import ModelError

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def images() -> Any:
    return (load_digits().images / 16).astype(np.float32)[:50, None]


def answer(module: nn.Module, *inputs: Any) -> Any:
    module.eval()
    with torch.inference_mode():
        return module(*(torch.from_numpy(one) for one in inputs)).numpy()


def test_an_importable_module_is_weights_and_a_path(images: Any, home: Path) -> None:
    torch.manual_seed(0)
    net = DigitNet()
    net.train()
    state = torch.random.get_rng_state()
    model = models.save("digits", net, example=images[:2], classes=[str(digit) for digit in range(10)])
    assert torch.equal(state, torch.random.get_rng_state())  # training goes on as if nothing had happened
    assert net.training and net.drop.training
    assert [file.path for file in model.info.files] == ["weights.safetensors"]
    assert not model.info.pickled
    assert model.info.options["class"] == "project_net:DigitNet"
    spec = model.info.methods["predict"]
    assert list(model.info.methods) == ["predict", "__call__"]
    assert (spec.inputs["images"].kind, spec.inputs["images"].shape) == ("array", ["n", 1, 8, 8])
    assert spec.output is not None
    assert (spec.output.dtype, spec.output.shape, spec.output.classes) == ("float32", ["n", 10], 10)
    loaded = model.load(device="cpu")
    assert not loaded.training
    assert np.array_equal(model.framework.call(loaded, "predict", images), answer(net, images))
    code = "import tiffin; print(type(tiffin.models.get('digits').load()).__name__)"
    assert run_fresh(code, SUPPORT) == "DigitNet"
    with pytest.raises(AssertionError, match="cannot import the model's class 'project_net:DigitNet'"):
        run_fresh(code, home)


def test_pickles_may_be_forbidden_for_it(images: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    assert isinstance(models.save("digits", DigitNet()).load(), DigitNet)


@pytest.mark.parametrize("arguments", [{"channels": 6}, {"stride": 2}, {"clip": 0.1}])
def test_what_weights_do_not_tell_is_not_forgotten(
    arguments: dict[str, Any], images: Any, caplog: pytest.LogCaptureFixture
) -> None:
    net = DigitNet(**arguments)
    with caplog.at_level(logging.WARNING):
        pickled = models.save("digits", net)
    assert pickled.info.pickled
    assert "DigitNet is saved as a pickle" in caplog.text
    told = models.save("digits", net, options={"init": arguments})
    assert not told.info.pickled
    for model in (pickled, told):
        assert np.array_equal(
            model.framework.call(model.load("cpu"), "__call__", images), answer(net, images)
        )


def test_a_wrong_init_is_refused() -> None:
    with pytest.raises(ModelError, match=r"another shape of 'conv.weight'"):
        models.save("digits", DigitNet(), options={"init": {"channels": 5}})
    with pytest.raises(ModelError, match="unexpected keyword argument 'width'"):
        models.save("digits", DigitNet(), options={"init": {"width": 5}})
    with pytest.raises(ModelError, match=r"options=.'class_'.*it takes class, format, init"):
        models.save("digits", DigitNet(), options={"class_": DigitNet})
    assert models.list() == []


def test_a_module_without_import_path_travels_as_a_pickle(home: Path, images: Any) -> None:
    class Local(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = DigitNet()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.inner(x)
            return out

    net = Local()
    model = models.save("local", net, example=images[:2], options={"format": "pickle"})
    assert model.info.pickled
    np.save(home / "x.npy", images)
    out = run_fresh(
        "import tiffin, numpy as np; m = tiffin.models.get('local');"
        "np.save('y.npy', m.framework.call(m.load('cpu'), 'predict', np.load('x.npy')));"
        "print(type(m.load()).__name__)",
        home,
    )
    assert out == "Local"
    assert np.allclose(np.load(home / "y.npy"), answer(net, images), atol=1e-6)


def test_state_dict_and_class(images: Any) -> None:
    net = DigitNet(channels=3)
    model = models.save(
        "digits", net.state_dict(), example=images[:2], options={"class": DigitNet, "init": {"channels": 3}}
    )
    assert not model.info.pickled
    assert np.array_equal(model.framework.call(model.load("cpu"), "predict", images), answer(net, images))
    with pytest.raises(ModelError, match="give its class too"):
        models.save("digits", net.state_dict())
    with pytest.raises(ModelError, match="does not fit DigitNet"):
        models.save("digits", net.state_dict(), options={"class": "project_net:DigitNet"})
    with pytest.raises(ModelError, match=r"not a torch.nn.Module class"):
        models.save("digits", net.state_dict(), options={"class": dict})


def test_tied_weights_are_written_once() -> None:
    net = Tied()
    model = models.save("tied", net)
    assert not model.info.pickled
    assert model.info.size_bytes < 2 * 8 * 8 * 4 + 100
    x = np.ones((2, 8), np.float32)
    assert np.array_equal(model.framework.call(model.load("cpu"), "predict", x), answer(net, x))


def test_buffers_that_are_not_saved_come_from_the_constructor() -> None:
    x = np.ones((2, 5, 4), np.float32)
    default = models.save("scaled", Scaled(), example=x)
    assert not default.info.pickled
    assert models.save("scaled", Scaled(3.0)).info.pickled  # weights alone would make it 2.0 again
    loaded = default.load("cpu")
    result = default.framework.call(loaded, "predict", x)
    assert result["last"].shape == (2, 3)
    assert isinstance(result["all"], tuple)
    with_mask = default.framework.call(loaded, "predict", x=x, mask=np.zeros((2, 3), np.float32))
    assert not with_mask["last"].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_floats_stay_what_they_are(dtype: torch.dtype, images: Any) -> None:
    model = models.save("digits", DigitNet().to(dtype), example=images[:2])
    loaded = model.load("cpu")
    assert loaded.head.weight.dtype == dtype
    result = model.framework.call(loaded, "predict", images.astype(np.float64))
    assert result.dtype == {torch.float64: np.float64, torch.float16: np.float16}.get(dtype, np.float32)


def test_a_module_that_was_called_may_change_its_floats(images: Any) -> None:
    model = models.save("digits", DigitNet())
    loaded = model.load("cpu")
    predict = model.framework.call
    assert predict(loaded, "predict", images).dtype == np.float32
    loaded.double()
    assert predict(loaded, "predict", images).dtype == np.float64
    loaded.load_state_dict({name: value.half() for name, value in loaded.state_dict().items()}, assign=True)
    assert predict(loaded, "predict", images).dtype == np.float16


def test_tensors_in_tensors_out(images: Any) -> None:
    model = models.save("digits", DigitNet())
    loaded = model.load("cpu")
    out = model.framework.call(loaded, "predict", torch.from_numpy(images))
    assert isinstance(out, torch.Tensor)
    assert not out.requires_grad
    assert isinstance(model.framework.call(loaded, "predict", images.tolist()), np.ndarray)


def test_memory_off_the_wire_is_never_written() -> None:
    model = models.save("inplace", InPlace(), options={"format": "pickle"})
    body = np.ones(4, np.float32).tobytes()
    result = model.framework.call(model.load("cpu"), "predict", np.frombuffer(body, np.float32))
    assert result.tolist() == [2.0] * 4
    assert np.frombuffer(body, np.float32).tolist() == [1.0] * 4


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_torchscript_needs_no_class(images: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")
    net = DigitNet().eval()
    expected = answer(net, images)
    for module in (
        torch.jit.script(net),
        torch.jit.trace(net, torch.from_numpy(images[:2])),
        torch.jit.freeze(torch.jit.script(net)),
    ):
        model = models.save("script", module, example=images[:2])
        assert model.info.framework == "torchscript"
        assert not model.info.pickled
        got = model.framework.call(model.load("cpu"), "predict", images)
        assert np.allclose(got, expected, atol=1e-6)
    code = "import tiffin; m = tiffin.models.get('script'); print(m.load('cpu') is not None)"
    assert run_fresh(code, home) == "True"


def test_devices() -> None:
    model = models.save("digits", DigitNet())
    with pytest.raises(ModelError, match="bad device 'gpu'"):
        model.load(device="gpu")
    with pytest.raises(ModelError, match="CUDA devices"):
        model.load(device="cuda:99")


def test_a_manifest_cannot_name_a_class_that_is_no_module(tmp_path: Path) -> None:
    from tiffin.runtime.manifest import MODEL_FILE, ModelInfo, dump_yaml, load_yaml
    from tiffin.runtime.model.model import Model, model_digest

    model = models.save("digits", DigitNet())
    info = load_yaml(model.path / MODEL_FILE, ModelInfo)
    mark = tmp_path / "ran"
    info.options.update({"class": "subprocess:Popen", "init": {"args": ["touch", str(mark)]}})
    info.digest = model_digest(info)
    (model.path / MODEL_FILE).unlink()
    (model.path / MODEL_FILE).write_text(dump_yaml(info))
    with pytest.raises(ModelError, match="derives from Module"):
        Model.open(model.path).load()
    assert not mark.exists()
