"""`copy_ahead=`: numbers are right however late copies are, and whatever batch is the next in the end.

No GPU was at hand: the device is played by `deferred_cuda`, which does nothing before somebody waits for it.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deferred_cuda import DeferredCuda, Doubling, within
from hypothesis import given, settings
from hypothesis import strategies as st

import tiffin
from tiffin.bundler import models
from tiffin.errors import ModelError
from tiffin.runtime.batching import rows
from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.model import pinned
from tiffin.runtime.model.compiled import Compiled
from tiffin.runtime.model.pinned import PinnedBuffer
from tiffin.runtime.model.staging import Staging
from tiffin.runtime.supervisor.control import Target
from tiffin.runtime.worker.inference import Inference, load

WIDTH = 700
"""Columns of the rows: some 24 rows of float32 fill the first pinned buffer."""


class Net(Doubling):
    """Tells the sums of its rows, too."""

    def __init__(self, device: DeferredCuda) -> None:
        super().__init__(device)
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor, also: Any = None, scale: int = 1) -> dict[str, Any]:
        self.seen.append(x)
        assert within(x, self.device.memory)
        if scale == 13:
            raise ValueError("thirteen")
        more = [] if also is None else [also]
        found = self.device.launch(
            lambda: {"twice": x * self.factor * scale, "sums": sum(more, x.sum(dim=1, keepdim=True))}
        )
        return {**found, "rows": list(range(len(x)))}


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> DeferredCuda:
    made = DeferredCuda()
    made.install(monkeypatch)
    return made


def inference(device: DeferredCuda, net: Net | None = None, **options: Any) -> tuple[Inference, Staging]:
    net = net or Net(device)
    staging = Staging(net, "net:1")
    spec = RunnerSpec(name="net", copy_ahead=True, methods={"predict": MethodSpec(**options)})
    run = {"predict": lambda *args, **kwargs: staging.call(net, "predict", *args, **kwargs)}
    return Inference(spec, run, staging=staging), staging


def batch(count: int, seed: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1000, (count, WIDTH)).astype(dtype)


def check(answer: dict[str, Any], x: Any) -> None:
    exact = np.asarray(x, np.float64)
    assert np.array_equal(answer["twice"], exact * 2)
    assert np.array_equal(answer["sums"], exact.sum(axis=1, keepdims=True))
    assert answer["rows"] == [*range(len(x))]


sizes = st.integers(0, 60)
turns = st.lists(st.tuples(sizes, st.lists(sizes, max_size=3), st.booleans()), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(turns=turns, most=st.sampled_from([64 * 1024, pinned.MAX_BYTES]), filled=st.booleans())
def test_whatever_is_begun_and_dropped_each_batch_gets_its_own_numbers(
    turns: list[tuple[int, list[int], bool]], most: int, filled: bool
) -> None:
    """A turn: its rows, those of what is begun meanwhile, and whether the last of these is the next."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pinned, "MAX_BYTES", most)
        device = DeferredCuda()
        device.install(patch)
        one, staging = inference(device, sizes=[8, 64] if filled else [])
        answers = []
        ahead: tuple[Any, ...] | None = None
        for number, (count, begun, stays) in enumerate(turns):
            args = ahead or (batch(count, number),)
            others = [(batch(size, 100 * number + at),) for at, size in enumerate(begun)]

            def meanwhile(done: Any, others: Any = others) -> None:
                assert not torch.is_inference_mode_enabled()
                for other in others:
                    one.begin([other])

            staging.meanwhile = meanwhile
            answers.append((one.call("predict", args, {}), args[0]))
            ahead = others[-1] if others and stays else None
        for answer, x in answers:  # at the end: none may have been overwritten
            check(answer, x)
        assert all(len(buffer) <= most for buffer in device.pinned)


def test_the_next_batch_is_begun_without_waiting_for_this_one(device: DeferredCuda) -> None:
    net = Net(device)
    one, staging = inference(device, net)
    one.call("predict", (batch(3, 0),), {})  # a buffer has been used before
    rests: list[tuple[int, int]] = []
    following = (batch(5, 2),)

    def rest() -> tuple[int, int]:
        return device.computes.done, device.copies.done

    def meanwhile(done: Any) -> None:
        rests.append(rest())
        one.begin([following])
        rests.append(rest())

    staging.meanwhile = meanwhile
    check(one.call("predict", (batch(4, 1),), {}), batch(4, 1))
    assert rests[0] == rests[1]
    staging.meanwhile = None
    copied = len(device.copies.work)
    check(one.call("predict", following, {}), following[0])
    assert len(device.copies.work) == copied, "it was copied once more"
    assert [len(x) for x in net.seen] == [3, 4, 5]
    assert {x.data_ptr() for x in net.seen} == device.recorded


def test_buffers_grow_by_doubling_and_no_more_than_three_are_used(device: DeferredCuda) -> None:
    one, _ = inference(device)
    for count in (*range(1, 60), *range(60, 0, -1)):
        check(one.call("predict", (batch(count, count),), {}), batch(count, count))
    assert sorted(len(each) >> 10 for each in device.pinned) == [64] * 3 + [128] * 3 + [256] * 3


def test_what_is_larger_than_a_buffer_goes_the_plain_way(
    device: DeferredCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinned, "MAX_BYTES", 64 * 1024)
    one, staging = inference(device)
    large = (batch(100, 1),)
    staging.meanwhile = lambda done: one.begin([large])
    for _ in range(2):
        check(one.call("predict", large, {}), large[0])
    assert device.copies.work == []
    check(one.call("predict", (large[0][:5],), {}), large[0][:5])
    assert len(device.copies.work) == 1


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, ">f4"])
def test_floating_arrays_become_what_the_model_computes_in(device: DeferredCuda, dtype: Any) -> None:
    one, _ = inference(device)
    x = batch(6, 1, dtype)
    x.setflags(write=False)  # as they are in shared memory
    answer = one.call("predict", (x[::2],), {})
    check(answer, x[::2])
    assert answer["twice"].dtype == np.float32
    assert answer["sums"].dtype == (np.int64 if dtype is np.int32 else np.float32)


def test_tensors_keep_their_dtype_and_tensors_come_back(device: DeferredCuda) -> None:
    one, staging = inference(device)
    x = torch.from_numpy(batch(6, 1, np.float64)).T.contiguous().T
    following = (torch.ones(2, WIDTH),)
    staging.meanwhile = lambda done: one.begin([following])
    answer = one.call("predict", (x,), {})
    assert isinstance(answer["twice"], torch.Tensor)
    assert answer["twice"].dtype == torch.float64
    check(answer, x)
    staging.meanwhile = None
    check(one.call("predict", following, {}), following[0])


def test_several_arguments_and_keywords(device: DeferredCuda) -> None:
    one, _ = inference(device)
    x, also = batch(3, 1), np.full((3, 1), 0.5)
    answer = one.call("predict", (x,), {"scale": 3})
    assert np.array_equal(answer["twice"], x * 6)
    answer = one.call("predict", (x, also), {})
    assert np.array_equal(answer["sums"], x.sum(axis=1, keepdims=True) + 0.5)


def test_joined_calls_are_found_again_and_others_are_not(device: DeferredCuda) -> None:
    one, staging = inference(device)
    parts = [(batch(count, count),) for count in (2, 3, 4)]
    staging.meanwhile = lambda done: one.begin(parts[:2])
    one.call("predict", (batch(1, 1),), {})
    staging.meanwhile = None
    copied = len(device.copies.work)
    for chosen, copies in ((parts, 1), (parts[:2], 1), (parts[:1], 1)):
        check(one.call("predict", one.join(chosen), {}), rows.join(chosen)[0])
        copied += copies
        assert len(device.copies.work) == copied
    one.begin(parts[:2])
    check(one.call("predict", one.join(parts[:2]), {}), rows.join(parts[:2])[0])
    assert len(device.copies.work) == copied + 1


def test_an_error_leaves_the_next_batch_as_it_was(device: DeferredCuda) -> None:
    one, _ = inference(device)
    following = (batch(4, 1),)
    one.begin([following])
    with pytest.raises(ValueError, match="thirteen"):
        one.call("predict", (batch(2, 2),), {"scale": 13})
    check(one.call("predict", following, {}), following[0])
    one.begin([following])
    with pytest.raises(ValueError, match="thirteen"):
        one.call("predict", following, {"scale": 13})
    check(one.call("predict", following, {}), following[0])


def test_what_lies_in_a_buffer(device: DeferredCuda) -> None:
    kinds = [
        ((3,), torch.bool),
        ((), torch.float64),
        ((0, 4), torch.int16),
        ((2, 5), torch.complex64),
        ((7,), torch.bfloat16),
    ]
    laid = PinnedBuffer().lay_out(kinds)
    assert laid is not None
    assert [(tuple(each.shape), each.dtype) for each in laid] == kinds
    assert all(within(each, device.pinned) for each in laid)
    for number, each in enumerate(laid):
        each.fill_(number)
    assert [each.flatten().tolist() for each in laid] == [[False] * 3, [1.0], [], [3 + 0j] * 10, [4.0] * 7]


def test_a_worker_loads_a_model_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    net = torch.nn.Linear(4, 2)
    x = np.random.default_rng(0).random((3, 4), np.float32)
    options = {"format": "pickle"}
    saved = models.save("net", net, example=x, methods={"predict": {"sizes": [2, 8]}}, options=options)
    spec = tiffin.runner("net:latest", gpus=1, copy_ahead=True).spec("net")
    with pytest.raises(ModelError, match=f"copy_ahead=True needs an NVIDIA GPU and {saved.tag} is on cpu"):
        load(Target(source=".", service=""), spec)
    with torch.inference_mode():
        right = net(torch.from_numpy(x)).numpy()
    device = DeferredCuda(eager=True)
    device.install(monkeypatch)
    one = load(Target(source=".", service=""), spec)
    one.warm()
    warmed = len(device.copies.work)
    assert warmed >= 2
    assert np.allclose(one.call("predict", (x,), {}), right, atol=1e-6)
    assert len(device.copies.work) == warmed + 1


def test_a_compiled_model_is_called_so(device: DeferredCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(device)
    spec = RunnerSpec(name="net", compile="default", copy_ahead=True, methods={"predict": MethodSpec()})
    staging = Staging(net, "net:1")
    compiled = Compiled(net, "net:1", spec, staging.run)
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    one = Inference(spec, {"predict": partial(compiled.call, "predict")}, compiled, staging)
    following = (batch(4, 2),)
    staging.meanwhile = lambda done: one.begin([following])
    check(one.call("predict", (batch(3, 1),), {}), batch(3, 1))
    staging.meanwhile = None
    copied = len(device.copies.work)
    check(one.call("predict", following, {}), following[0])
    assert len(device.copies.work) == copied


def test_a_worker_without_a_gpu_says_so() -> None:
    with pytest.raises(ModelError) as told:
        Staging(torch.nn.Linear(2, 2), "net:1")
    assert str(told.value) == (
        f"copy_ahead=True needs an NVIDIA GPU and net:1 is on cpu: torch {torch.__version__} sees 0 CUDA "
        "devices; install torch for CUDA, or leave copy_ahead= out"
    )
