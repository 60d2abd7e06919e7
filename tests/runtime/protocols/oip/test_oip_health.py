"""Readiness of a server and of its models, by what its runners have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.protocols.oip.config import model_config
from tiffin.runtime.protocols.oip.health import model_readiness, server_readiness
from tiffin.runtime.protocols.tensor import TensorSpec

API: Any = SimpleNamespace(runner=None)
METHOD: Any = SimpleNamespace(runner=SimpleNamespace(name="forest"))


def state(*, ready: bool = True, draining: bool = False, **workers: int) -> Any:
    dispatchers = {name: SimpleNamespace(workers=number) for name, number in workers.items()}
    return SimpleNamespace(ready=ready, draining=draining, dispatchers=dispatchers)


@pytest.mark.parametrize(
    ("now", "api", "method"),
    [
        (state(forest=2, other=1), "READY", "READY"),
        (state(forest=2, other=0), "UNAVAILABLE", "READY"),
        (state(forest=0, other=1), "UNAVAILABLE", "UNAVAILABLE"),
        (state(ready=False, forest=1, other=0), "LOADING", "READY"),
        (state(ready=False, forest=1, other=1), "LOADING", "READY"),
        (state(draining=True, forest=1, other=1), "UNLOADING", "UNLOADING"),
    ],
)
def test_states(now: Any, api: str, method: str) -> None:
    assert server_readiness(now).state == model_readiness(now, API).state == api
    assert model_readiness(now, METHOD).state == method
    for readiness in (server_readiness(now), model_readiness(now, METHOD)):
        assert readiness.ready == (readiness.state == "READY") == (not readiness.reason)


def test_the_reason_names_runners() -> None:
    assert server_readiness(state(forest=0, other=1)).reason == "runner 'forest' has no worker"
    assert server_readiness(state(forest=0, other=0)).reason == "runners 'forest', 'other' have no worker"


def endpoint(inputs: list[TensorSpec], outputs: list[TensorSpec], spec: MethodSpec | None = None) -> Any:
    return SimpleNamespace(
        name="demo",
        doc="",
        api=None,
        spec=spec,
        stream=False,
        inputs=SimpleNamespace(specs=tuple(inputs)),
        outputs=SimpleNamespace(specs=tuple(outputs)),
    )


def spec(*shape: int, datatype: str = "FP32") -> TensorSpec:
    return TensorSpec("x", datatype, shape, optional=False)


RUNNERS = [RunnerSpec(name="a", max_batch_size=16), RunnerSpec(name="b", max_batch_size=32, gpus=1)]


@pytest.mark.parametrize(
    ("inputs", "outputs", "method", "most"),
    [
        ([spec(-1, 4)], [spec(-1)], None, 32),
        ([spec(-1, 4), spec(1)], [spec(-1)], None, 0),
        ([spec(-1, 4)], [spec(3)], None, 0),
        ([spec(2, 4)], [spec(-1)], None, 0),
        ([], [], None, 0),
        ([spec(-1, 4)], [spec(-1)], MethodSpec(), 16),
        ([spec(-1, 4)], [spec(-1)], MethodSpec(max_batch_size=8), 8),
        ([spec(-1, 4)], [spec(-1)], MethodSpec(batch=False), 0),
    ],
)
def test_rows_of_a_batch(
    inputs: list[TensorSpec], outputs: list[TensorSpec], method: MethodSpec | None, most: int
) -> None:
    runners = RUNNERS if method is None else RUNNERS[:1]
    config = model_config(endpoint(inputs, outputs, method), runners, {})
    assert config["max_batch_size"] == most
    assert ("dynamic_batching" in config) == (most > 0)


def test_dims_leave_out_the_axis_of_the_batch_and_are_never_empty() -> None:
    dispatchers: Any = {"a": SimpleNamespace(workers=3)}
    made = endpoint([spec(-1, 4, -1)], [spec(-1, datatype="BYTES")])
    config = model_config(made, RUNNERS, dispatchers)
    assert config["input"][0]["dims"] == [4, -1]
    assert config["output"][0]["dims"] == [1]
    assert config["output"][0]["reshape"] == {"shape": []}
    assert config["output"][0]["data_type"] == "TYPE_STRING"
    assert [(each["name"], each["kind"], each["count"]) for each in config["instance_group"]] == [
        ("a", "KIND_CPU", 3),
        ("b", "KIND_GPU", 0),
    ]
    assert model_config(endpoint([spec(2, 4)], [spec()]), [], {})["input"][0]["dims"] == [2, 4]
