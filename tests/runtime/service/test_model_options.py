"""Options for saved models: what is refused, and what a worker is told."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiffin
from tiffin.bundler import models
from tiffin.errors import ServiceDefinitionError
from tiffin.runtime.manifest import RunnerSpec

ROWS = np.ones((2, 4), np.float32)


class Own:
    @tiffin.batch
    def run(self, x: list[int]) -> list[int]:
        return x


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path))


@pytest.fixture
def net() -> None:
    models.save("net", torch.nn.Linear(4, 2), example=ROWS)


def spec(tag: str, **options: Any) -> RunnerSpec:
    return tiffin.runner(tag, **options).spec("net")  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"compile": "fast"},
            r"'fast' is not known; .*use True or one of default, reduce-overhead",
        ),
        ({"compile": "max-autotun"}, r"did you mean 'max-autotune'\?"),
        ({"compile": 1.0}, r"compile=1\.0 is not known"),
        (
            {"compile": "reduce-overhead"},
            r"for NVIDIA GPUs .* this runner has none; add gpus=1",
        ),
        ({"copy_ahead": True}, r"copy_ahead= is for NVIDIA GPUs and this runner has none; add gpus=1"),
        ({"copy_ahead": 1, "gpus": 1}, r"copy_ahead=1 is no choice; use True or False"),
        ({"prepack": "yes"}, r"prepack='yes' is no choice; use True or False"),
        ({"prepack": True, "gpus": 0.5}, r"for weights on the CPU and this runner has gpus=0\.5; leave"),
        ({"prepack": True, "compile": True}, r"prepack= and compile= exclude each other"),
        ({"sizes": (8, 1)}, r"sizes=\(8, 1\) must increase"),
        ({"sizes": ()}, r"sizes=\(\) must increase"),
        ({"sizes": "1,8"}, r"give whole numbers"),
        ({"sizes": (0, 1)}, r"sizes=0 is out of range"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=said):
        tiffin.runner("net:latest", **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compile": True}, r"write self.net = torch.compile\(net\) in __init__"),
        ({"copy_ahead": True, "gpus": 1}, r"a class of your own moves its tensors itself: leave it out"),
        ({"prepack": True}, r"write tiffin.prepack\(self.net\) in __init__"),
        ({"sizes": (1, 2)}, r"a class says it for each method: @tiffin.batch\(sizes=…\)"),
    ],
)
def test_a_class_says_it_itself(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ServiceDefinitionError, match=said):
        tiffin.runner(Own, **options)


def test_only_torch_modules_are_compiled() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, of tracing
        traced = torch.jit.trace(torch.nn.Linear(4, 2), torch.ones(1, 4))
    models.save("net", traced, example=ROWS)
    with pytest.raises(ServiceDefinitionError, match=r"net:\w+ is of torchscript; save the module itself"):
        spec("net:latest", compile=True)
    with pytest.raises(ServiceDefinitionError, match=r"prepack= is for torch modules and net:\w+ is"):
        spec("net:latest", prepack=True)
    with pytest.raises(ServiceDefinitionError, match=r"copy_ahead= is for torch modules and net:\w+ is"):
        spec("net:latest", copy_ahead=True, gpus=1)
    models.save("mean", np.mean, example=ROWS, methods=["predict"])
    with pytest.raises(ServiceDefinitionError, match=r"mean:\w+ is of cloudpickle; leave it out"):
        spec("mean:latest", compile=True)


def test_what_the_worker_is_told(net: None) -> None:
    assert spec("net:latest").compile == ""
    assert spec("net:latest", compile=False).compile == ""
    assert not spec("net:latest", gpus=1).copy_ahead
    assert spec("net:latest", gpus=0.5, copy_ahead=True).copy_ahead
    made = spec("net:latest", compile=True)
    assert (made.compile, made.methods["predict"].sizes) == ("default", [])
    made = spec("net:latest", compile="default", sizes=[1, 8, 100])
    assert [made.methods[name].sizes for name in ("predict", "__call__")] == [[1, 8, 100]] * 2
    assert made.methods["predict"].max_batch_size == 100
    assert made.methods["predict"].inputs == models.get("net").info.methods["predict"].inputs


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, [1]), (2, [1, 2]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 8, 12])]
)
def test_graphs_are_recorded_for_a_few_sizes(net: None, most: int, sizes: list[int]) -> None:
    made = spec("net:latest", compile="reduce-overhead", gpus=1, max_batch_size=most)
    assert made.methods["predict"].sizes == sizes
    assert made.methods["predict"].max_batch_size == most
    made = spec("net:latest", compile="max-autotune", gpus=0.5, max_batch_size=most, sizes=(3, 5))
    assert made.methods["predict"].sizes == [3, 5]


def test_the_sizes_that_a_model_was_saved_with(net: None) -> None:
    models.save("net", torch.nn.Linear(4, 2), example=ROWS, methods={"predict": {"sizes": [2, 4]}})
    assert spec("net:latest", compile="reduce-overhead", gpus=1).methods["predict"].sizes == [2, 4]
    assert spec("net:latest", sizes=(3,)).methods["predict"].sizes == [3]
    assert models.get("net").info.methods["predict"].sizes == [2, 4]


def test_in_this_process_batches_are_filled_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    models.save("rows", np.tanh, example=ROWS, methods=["predict"])

    class Filled:
        rows = tiffin.runner("rows:latest", sizes=(3, 7))

    seen: list[int] = []
    monkeypatch.setattr(
        "tiffin.runtime.model.frameworks.cloudpickle.CloudpickleFramework.call",
        lambda _, obj, method, x: seen.append(len(x)) or x,
    )
    assert len(Filled().rows.predict(ROWS)) == 2
    assert len(Filled().rows.predict(np.ones((4, 4)))) == 4
    assert seen == [3, 7]


def test_sizes_of_what_takes_no_batches() -> None:
    models.save("count", len, example=ROWS, methods=["predict"])
    with pytest.raises(ServiceDefinitionError, match="sizes= is for batches, and no method of count:"):
        spec("count:latest", sizes=(1, 2))
