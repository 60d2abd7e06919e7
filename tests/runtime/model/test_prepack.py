"""Packed linear layers: what they answer, when they are used, and what stays as it was."""

from __future__ import annotations

import copy
import io
import logging
import platform
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from packed_layers import ONLY_HERE, WIDTH, layer, packed
from torch import nn
from torch.nn.utils import prune

import tiffin
from tiffin.bundler import models
from tiffin.errors import ModelError
from tiffin.runtime.model import prepack as room
from tiffin.runtime.supervisor.control import Target
from tiffin.runtime.worker.inference import load

pytestmark = ONLY_HERE


def uses(module: Any, rows: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each call that went through oneDNN."""
    forward = module.forward
    real, seen = forward._multiply, []

    def multiply(x: torch.Tensor, *more: Any) -> torch.Tensor:
        seen.append(x.numel() // x.shape[-1])
        return real(x, *more)  # type: ignore[no-any-return]

    monkeypatch.setattr(forward, "_multiply", multiply)
    try:
        module(rows)
    finally:
        monkeypatch.setattr(forward, "_multiply", real)
    return seen


@pytest.mark.parametrize("bias", [True, False])
def test_every_number_of_rows_is_answered_as_before(bias: bool) -> None:
    plain = layer(bias=bias)
    fast = packed(copy.deepcopy(plain))
    for rows in [*range(131), 200, 1000]:
        x = torch.randn(rows, WIDTH)
        with torch.inference_mode():
            torch.testing.assert_close(fast(x), plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(WIDTH,), (1, WIDTH), (3, 7, WIDTH), (2, 2, 2, WIDTH), (0, 5, WIDTH)])
def test_any_number_of_axes(shape: tuple[int, ...]) -> None:
    plain = layer()
    fast = packed(copy.deepcopy(plain))
    x = torch.randn(shape)
    with torch.no_grad():
        assert fast(x).shape == plain(x).shape
        torch.testing.assert_close(fast(input=x), plain(x), rtol=1e-4, atol=1e-5)


def test_rows_that_do_not_lie_one_after_the_other() -> None:
    plain = layer()
    fast = packed(copy.deepcopy(plain))
    for x in (
        torch.randn(WIDTH, 9).t(),
        torch.randn(9, 2 * WIDTH)[:, ::2],
        torch.randn(1, WIDTH).expand(9, -1),
    ):
        with torch.no_grad():
            torch.testing.assert_close(fast(x), plain(x), rtol=1e-4, atol=1e-5)


def test_few_numbers_of_rows_have_code_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = packed(layer())
    seen = set()
    with torch.no_grad():
        for rows in range(2, 513):
            (used,) = uses(fast, torch.randn(rows, WIDTH), monkeypatch)
            assert rows <= used <= max(4, 1.25 * rows + 7)
            seen.add(used)
    assert seen | {1} == set(room.sizes_of_code(512))
    assert len(seen) < 24
    assert room.sizes_of_code(1) == [1]
    assert room.sizes_of_code(20) == [1, 2, 4, 8, 16, 24]


def test_numbers_that_are_none_stay_so() -> None:
    plain = layer()
    plain.weight.data[3, 5], plain.weight.data[4, 6] = float("nan"), float("inf")
    fast = packed(copy.deepcopy(plain))
    x = torch.randn(5, WIDTH)
    x[2, 9] = float("nan")
    with torch.no_grad():
        torch.testing.assert_close(fast(x), plain(x), rtol=1e-4, atol=1e-5, equal_nan=True)


def test_gradients_and_lower_precision_go_the_usual_way() -> None:
    plain = layer()
    fast = packed(copy.deepcopy(plain))
    x = torch.randn(6, WIDTH, requires_grad=True)
    fast(x).sum().backward()
    assert x.grad is not None
    assert fast.weight.grad is not None
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert fast(x).dtype is torch.bfloat16
    with torch.no_grad(), pytest.raises(RuntimeError) as here:
        fast(x[:, 1:])
    with torch.no_grad(), pytest.raises(RuntimeError) as there:
        plain(x[:, 1:])
    assert str(here.value) == str(there.value)
    with torch.no_grad(), pytest.raises(RuntimeError, match="dtype"):
        fast(x.double())


def test_other_ways_to_call_a_module() -> None:
    plain = layer()
    fast = packed(copy.deepcopy(plain))
    x = torch.randn(6, WIDTH)
    with torch.no_grad():
        other = {name: torch.randn_like(value) for name, value in plain.named_parameters()}
        found = torch.func.functional_call(fast, other, (x,))
        torch.testing.assert_close(found, torch.func.functional_call(plain, other, (x,)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own: slow, and tracing is deprecated
            torch.testing.assert_close(torch.func.vmap(fast)(x), plain(x), rtol=1e-4, atol=1e-5)
            traced = torch.jit.trace(fast, x)
        assert "mkldnn" not in str(traced.graph)
        torch.testing.assert_close(traced(x), plain(x))


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_copies_have_weights_of_their_own(way: str) -> None:
    module = nn.Sequential(packed(layer()), nn.ReLU())
    if way == "deepcopy":
        other = copy.deepcopy(module)
    else:
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    x = torch.randn(6, WIDTH)
    with torch.no_grad():
        torch.testing.assert_close(other(x), module(x), rtol=1e-4, atol=1e-5)
        other[0].weight.zero_()
        assert torch.equal(other(x), torch.relu(other[0].bias).expand(6, -1))
        assert not torch.equal(module(x), other(x))


def test_the_module_looks_as_before_and_hooks_run() -> None:
    module = nn.Sequential(layer(), nn.ReLU())
    before, words = {name: value.clone() for name, value in module.state_dict().items()}, repr(module)
    seen: list[Any] = []
    module[0].register_forward_hook(lambda *_: seen.append(1))
    packed(module)
    assert type(module[0]) is nn.Linear
    assert repr(module) == words
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    with torch.no_grad():
        module(torch.randn(4, WIDTH))
    assert seen == [1]


class Doubled(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        return 2 * super().forward(input)


class Quantized(nn.Parameter):
    """Stands for weights whose class computes something else with them."""


def test_what_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    own = layer()
    own.forward = lambda x: x  # type: ignore[method-assign] - as other libraries do
    quantized, gaps, half_bias = layer(), layer(), layer()
    quantized.weight = Quantized(quantized.weight.detach())
    gaps.bias = nn.Parameter(torch.randn(2 * 257)[::2])
    prune.identity(half_bias, "bias")
    left = [Doubled(WIDTH, 257), layer().double(), layer(outputs=4), nn.Conv2d(64, 64, 9), own]
    left += [quantized, gaps, half_bias]
    for module in left:
        assert tiffin.prepack(module) == room.Packed(0, 0, 0)
    assert tiffin.prepack("no module").layers == 0
    with torch.inference_mode():
        made_there = layer()
    assert tiffin.prepack(made_there).layers == 0
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert tiffin.prepack(layer()).layers == 0


def test_a_weight_is_packed_once_and_within_the_limit() -> None:
    first, second = layer(inputs=WIDTH, outputs=WIDTH), layer(inputs=WIDTH, outputs=WIDTH)
    second.weight = first.weight
    module = nn.Sequential(first, second)
    size = first.weight.nbytes
    assert room.prepack(module, size - 1) == room.Packed(0, 0, size)
    assert "forward" not in first.__dict__
    assert room.prepack(module, size) == room.Packed(2, size, 0)
    assert room.prepack(module) == room.Packed(0, 0, 0)  # they are already


def test_what_onednn_gets_wrong_or_refuses_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = room._Forward.multiplied
    monkeypatch.setattr(room._Forward, "multiplied", lambda self, x: real(self, x) + 1)
    module = layer()
    assert tiffin.prepack(module).layers == 0
    assert "computes something else" in caplog.text

    def refuse(self: Any, x: Any) -> Any:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(room._Forward, "multiplied", refuse)
    assert tiffin.prepack(module).layers == 0
    assert "forward" not in module.__dict__


# -- in a worker


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    net = nn.Sequential(layer(), nn.ReLU(), layer(inputs=257, outputs=3))
    models.save("net", net, example=np.ones((2, WIDTH), np.float32), options={"format": "pickle"})
    return tmp_path


def worker(**options: Any) -> Any:
    return load(Target(source=".", service=""), tiffin.runner("net:latest", **options).spec("net"))


def test_a_worker_packs_unasked(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    plain = models.get("net").load("cpu")
    inference = worker()
    assert "packed 1 linear layers" in caplog.text
    inference.warm()
    x = np.random.default_rng(0).random((20, WIDTH), np.float32)
    with torch.inference_mode():
        right = plain(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(inference.call("predict", (x,), {}), right, rtol=1e-4, atol=1e-5)


def test_a_worker_that_must_not(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    inference = worker(prepack=False)
    assert "packed" not in caplog.text
    plain = models.get("net").load("cpu")
    x = np.random.default_rng(0).random((20, WIDTH), np.float32)
    with torch.inference_mode():
        right = plain(torch.from_numpy(x)).numpy()
    assert np.array_equal(inference.call("predict", (x,), {}), right)


def test_a_large_model_is_packed_when_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("tiffin.runtime.worker.inference.UNASKED_BYTES", 1000)
    worker()
    assert "prepack=True makes them faster on a CPU and takes 1 MB more in each worker" in caplog.text
    caplog.clear()
    worker(prepack=True)
    assert "packed 1 linear layers" in caplog.text


def test_nothing_to_pack_is_said(home: Path) -> None:
    models.save("net", layer(outputs=2), example=np.ones((2, WIDTH), np.float32))
    worker()
    with pytest.raises(ModelError, match=r"prepack=True: net:\w+ has nothing to pack here; .* leave it out"):
        worker(prepack=True)


def test_warming_makes_the_code_of_every_size(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inference = worker(max_batch_size=24)
    seen: list[int] = []
    inference._methods = {name: lambda x: seen.append(len(x)) for name in inference._methods}
    inference.warm()
    assert seen == [1, 2, 4, 8, 16, 24] * len(inference._methods)
    seen.clear()
    monkeypatch.setattr("tiffin.runtime.worker.inference._LONG_S", 0.0)
    inference.warm()
    assert seen == [1] * len(inference._methods)
