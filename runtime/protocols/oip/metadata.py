"""What a client asks first: who serves, and what a model takes and gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .... import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...supervisor.control import ServerOptions
    from ..endpoint import Endpoint
    from ..tensor import TensorSpec

SERVER = "tiffin"
PLATFORM = "tiffin"
_EXTENSIONS = (
    "classification",
    "model_repository",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "logging",
    "generate",
)


def server_metadata(options: ServerOptions) -> dict[str, Any]:
    """`name`, `version`, `extensions`: only what this server does, so no sequences and no traces."""
    shared = ("system_shared_memory",) if options.client_shm else ()
    return {"name": SERVER, "version": __version__, "extensions": [*_EXTENSIONS, *shared]}


def model_metadata(endpoint: Endpoint) -> dict[str, Any]:
    """`name`, `versions`, `platform`, `inputs` and `outputs`; -1 in a shape is an axis of any length."""
    return {
        "name": endpoint.name,
        "versions": [endpoint.version],
        "platform": PLATFORM,
        "inputs": _tensors(endpoint.inputs.specs),
        "outputs": _tensors(endpoint.outputs.specs),
    }


def _tensors(specs: Iterable[TensorSpec]) -> list[dict[str, Any]]:
    return [{"name": each.name, "datatype": each.datatype, "shape": list(each.shape)} for each in specs]
