"""A model's configuration, in the words of `ModelConfig`: what load generators read before they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .metadata import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...batching.dispatcher import Dispatcher
    from ...manifest import RunnerSpec
    from ..endpoint import Endpoint
    from ..tensor import TensorSpec


def model_config(
    endpoint: Endpoint, runners: list[RunnerSpec], dispatchers: Mapping[str, Dispatcher]
) -> dict[str, Any]:
    """JSON of one endpoint's `ModelConfig`.

    `max_batch_size` above 0 says that the first axis of every input and output is that of the batch; `dims`
    then leave it out. It is the number of rows that go to a worker at once: more are welcome where the axis
    varies.

    Args:
        runners: those whose workers compute: all of the service for an api, the one for a method.
    """
    most = max_batch_size(endpoint, runners)
    config: dict[str, Any] = {
        "name": endpoint.name,
        "platform": PLATFORM,
        "backend": PLATFORM,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": most,
        "input": [_input(spec, batched=most > 0) for spec in endpoint.inputs.specs],
        "output": [_output(spec, batched=most > 0) for spec in endpoint.outputs.specs],
        "batch_input": [],
        "batch_output": [],
        "instance_group": [_group(runner, dispatchers) for runner in runners],
        "default_model_filename": "",
        "cc_model_filenames": {},
        "metric_tags": {},
        "parameters": _parameters(endpoint),
        "model_warmup": [],
        "model_transaction_policy": {"decoupled": endpoint.stream},
        "response_cache": {"enable": False},
    }
    if most:
        config["dynamic_batching"] = {
            "preferred_batch_size": [],
            "max_queue_delay_microseconds": 0,
            "preserve_ordering": False,
        }
    return config


def max_batch_size(endpoint: Endpoint, runners: list[RunnerSpec]) -> int:
    """Rows of a batch; 0 where requests do not share batches by their first axis."""
    specs = (*endpoint.inputs.specs, *endpoint.outputs.specs)
    if not specs or not all(spec.shape and spec.shape[0] == -1 for spec in specs):
        return 0
    most = max((runner.max_batch_size for runner in runners), default=0)
    method = endpoint.spec
    if method is None:
        return most
    return method.max_batch_size or most if method.batch else 0


def _input(spec: TensorSpec, *, batched: bool) -> dict[str, Any]:
    return {
        "name": spec.name,
        "data_type": _data_type(spec),
        "format": "FORMAT_NONE",
        **_dims(spec, batched=batched),
        "is_shape_tensor": False,
        "allow_ragged_batch": False,
        "optional": spec.optional,
    }


def _output(spec: TensorSpec, *, batched: bool) -> dict[str, Any]:
    return {
        "name": spec.name,
        "data_type": _data_type(spec),
        **_dims(spec, batched=batched),
        "label_filename": "",
        "is_shape_tensor": False,
    }


def _data_type(spec: TensorSpec) -> str:
    return "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"


def _dims(spec: TensorSpec, *, batched: bool) -> dict[str, Any]:
    dims = list(spec.shape[1:] if batched else spec.shape)
    # `dims` may not be empty: one number a row is written as [1], shaped to [].
    return {"dims": dims} if dims else {"dims": [1], "reshape": {"shape": []}}


def _group(runner: RunnerSpec, dispatchers: Mapping[str, Dispatcher]) -> dict[str, Any]:
    """The workers of a runner that take batches now."""
    dispatcher = dispatchers.get(runner.name)
    return {
        "name": runner.name,
        "kind": "KIND_GPU" if runner.gpus else "KIND_CPU",
        "count": 0 if dispatcher is None else dispatcher.workers,
        "gpus": [],
        "passive": False,
    }


def _parameters(endpoint: Endpoint) -> dict[str, Any]:
    told = {"description": endpoint.doc}
    if endpoint.api is not None:
        told["route"] = endpoint.api.route
    return {name: {"string_value": text} for name, text in told.items() if text}
