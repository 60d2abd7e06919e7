"""Memory of GPUs that callers share: this server takes none, and says so."""

from __future__ import annotations

from typing import Any

from .shared_memory import UnknownRegionError
from .unsupported import UnsupportedError


def register(name: str) -> None:
    """
    Raises:
        UnsupportedError: always.
    """
    raise UnsupportedError(
        f"failed to register CUDA shared memory region '{name[:200]}': API processes hold no GPU, workers "
        "do; send the tensor itself, or use system shared memory"
    )


def status(name: str = "") -> list[dict[str, Any]]:
    """Of all regions: there are none.

    Raises:
        UnknownRegionError: one was named.
    """
    if name:
        raise UnknownRegionError(f"Unable to find cuda shared memory region: '{name[:200]}'")
    return []
