"""What version 1 tells of a model: its signature, as TensorFlow names types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .predict import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..endpoint import Endpoint
    from ..tensor import TensorSpec

_TYPES = {
    "BOOL": "DT_BOOL",
    "UINT8": "DT_UINT8",
    "UINT16": "DT_UINT16",
    "UINT32": "DT_UINT32",
    "UINT64": "DT_UINT64",
    "INT8": "DT_INT8",
    "INT16": "DT_INT16",
    "INT32": "DT_INT32",
    "INT64": "DT_INT64",
    "FP16": "DT_HALF",
    "BF16": "DT_BFLOAT16",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
}


def metadata(endpoint: Endpoint) -> dict[str, Any]:
    """The document of `/metadata`."""
    signature = {
        "inputs": _tensors(endpoint.inputs.specs),
        "outputs": _tensors(endpoint.outputs.specs),
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": endpoint.name, "signature_name": "", "version": endpoint.version},
        "metadata": {"signature_def": {"signature_def": {DEFAULT: signature}}},
    }


def _tensors(specs: Iterable[TensorSpec]) -> dict[str, Any]:
    return {
        spec.name: {
            "dtype": _TYPES[spec.datatype],
            "tensor_shape": {
                "dim": [{"size": str(size), "name": ""} for size in spec.shape],
                "unknown_rank": False,
            },
            "name": f"{spec.name}:0",
        }
        for spec in specs
    }
