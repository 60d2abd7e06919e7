"""Packed linear layers whose weights change, that are copied, and that torch or others look into."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from packed_layers import ONLY_HERE, WIDTH, layer, packed
from torch import nn
from torch.nn.utils import parametrize, prune
from torch.utils.flop_counter import FlopCounterMode

from tiffin.runtime.model import prepack as room

pytestmark = ONLY_HERE


class Doubled(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        return 2 * super().forward(input)


def _in_place(module: Any) -> None:
    with torch.no_grad():
        module.weight.mul_(2)


def _as_data(module: Any) -> None:
    module.weight.data = torch.randn_like(module.weight)


def _assigned(module: Any) -> None:
    module.weight = nn.Parameter(torch.randn_like(module.weight))


def _loaded(module: Any) -> None:
    module.load_state_dict({name: torch.randn_like(value) for name, value in module.state_dict().items()})


def _in_half(module: Any) -> None:
    module.bfloat16()


def _in_inference_mode(module: Any) -> None:
    with torch.inference_mode():
        module.weight.mul_(2)


def _through_data(module: Any) -> None:
    module.weight.data += torch.randn_like(module.weight)  # as adapters are merged; no version counts it


def _through_numpy(module: Any) -> None:
    array = module.weight.detach().numpy()
    array *= 2


def _fewer(module: Any) -> None:
    module.weight.data, module.bias.data = module.weight.data[:100], module.bias.data[:100]


def _class(module: Any) -> None:
    module.__class__ = Doubled


def _pruned_bias(module: Any) -> None:
    prune.random_unstructured(module, "bias", amount=0.5)


def _bias_made_of_another(module: Any) -> None:
    parametrize.register_parametrization(module, "bias", nn.Tanh())


def _bias_of_one(module: Any) -> None:
    module.bias = nn.Parameter(torch.ones(1))


def _bias_with_gaps(module: Any) -> None:
    module.bias = nn.Parameter(torch.randn(2 * 257)[::2])


def _bias_spread_out(module: Any) -> None:
    module.bias.data = module.bias.data[:1].expand(257)


def _bias_a_buffer(module: Any) -> None:
    del module.bias
    module.register_buffer("bias", torch.randn(257))


@pytest.mark.parametrize(
    "change",
    [
        _in_place,
        _as_data,
        _assigned,
        _loaded,
        _in_half,
        _in_inference_mode,
        _through_data,
        _through_numpy,
        _fewer,
        _class,
        _pruned_bias,
        _bias_made_of_another,
        _bias_of_one,
        _bias_with_gaps,
        _bias_spread_out,
        _bias_a_buffer,
    ],
)
def test_changed_weights_count_at_once(change: Callable[[Any], None]) -> None:
    plain = layer()
    fast = packed(copy.deepcopy(plain))
    torch.manual_seed(2)
    change(plain)
    torch.manual_seed(2)
    change(fast)
    x = torch.randn(6, WIDTH, dtype=next(plain.parameters()).dtype)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), plain(x), rtol=0, atol=0)


def test_a_copy_is_a_plain_layer_and_can_be_packed() -> None:
    fast = packed(layer())
    written = pickle.dumps(fast)
    assert b"tiffin" not in written
    alike = copy.copy(fast)
    alike._parameters = {**fast._parameters, "weight": nn.Parameter(torch.ones_like(fast.weight))}
    x = torch.randn(6, WIDTH)
    with torch.no_grad():
        torch.testing.assert_close(alike(x), nn.functional.linear(x, alike.weight, alike.bias))
    for other in (copy.deepcopy(fast), pickle.loads(written), alike):
        assert "forward" not in other.__dict__
        packed(other)
        with torch.no_grad():
            right = nn.functional.linear(x, other.weight, other.bias)
            torch.testing.assert_close(other(x), right, rtol=1e-4, atol=1e-4)


def test_what_wraps_forward_is_copied_with_a_layer_of_its_own() -> None:
    fast: Any = packed(layer())
    fast.before, fast.forward = fast.forward, lambda x: x  # as libraries keep it
    other = copy.deepcopy(fast)
    assert other.before.__self__ is other
    assert other.forward(3) == 3
    del fast.forward
    assert pickle.loads(pickle.dumps(fast)).before.__func__ is nn.Linear.forward


def test_memory_is_free_when_the_module_is() -> None:
    gc.collect()
    gc.disable()
    try:
        module = nn.Sequential(packed(layer()))
        gone, forward = weakref.ref(module[0]), module[0].forward
        x, right = torch.randn(6, WIDTH), layer()
        del module
        assert gone() is None
    finally:
        gc.enable()
    torch.testing.assert_close(forward(x), right(x))  # with gradients: as the layer did
    with torch.no_grad():
        torch.testing.assert_close(forward(x), right(x), rtol=1e-4, atol=1e-5)


def test_what_sees_each_operation_or_carries_derivatives_along() -> None:
    plain = layer()
    fast = packed(copy.deepcopy(plain))
    x = torch.randn(6, WIDTH)
    flops = []
    with torch.no_grad():
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # vmap's, that it has no rule for oneDNN
            torch.testing.assert_close(torch.func.vmap(fast)(x), plain(x))
        for module in (plain, fast):
            with FlopCounterMode(display=False) as counter:
                module(x)
            flops.append(counter.get_total_flops())
        assert flops[0] == flops[1] > 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of what it loads for this
            found, right = (torch.func.jvp(module, (x,), (x,)) for module in (fast, plain))
        torch.testing.assert_close(found, right)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own: a prototype
            rows = torch.nested.nested_tensor([x[:2], x[2:]])
        torch.testing.assert_close(fast(rows).to_padded_tensor(0), plain(rows).to_padded_tensor(0))


def test_a_multiplication_that_fails_goes_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    fast: Any = packed(layer())

    def refuse(*_: Any) -> Any:
        raise RuntimeError("could not create a memory object")

    monkeypatch.setattr(fast.forward, "_multiply", refuse)
    x = torch.randn(6, WIDTH)
    with torch.no_grad():
        assert torch.equal(fast(x), layer()(x))


def test_defaults_of_others_do_not_matter_to_the_trial(caplog: pytest.LogCaptureFixture) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            packed(layer().float())
    finally:
        torch.set_default_dtype(torch.float32)
    assert not caplog.text


def test_a_torch_that_asks_for_autocast_by_another_name() -> None:
    older = SimpleNamespace(  # as torch 2.3 has it, and without what is not public
        is_autocast_enabled=lambda: False,
        is_autocast_cpu_enabled=lambda: torch.is_autocast_enabled("cpu"),
        jit=torch.jit,
        autograd=SimpleNamespace(forward_ad=None),
        _C=None,
    )
    questions = room._questions(older)
    assert not any(question() for question in questions)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert any(question() for question in questions)
