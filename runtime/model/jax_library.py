"""JAX as a worker uses it: its devices by the names that torch has for them, and arrays in and out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ...errors import MissingDependencyError, ModelError
from .device import kind_and_number


def jax_or_error() -> Any:
    """The library.

    Raises:
        MissingDependencyError: it is not installed.
    """
    # Else the first worker takes three quarters of a GPU's memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        import jax
    except ImportError as error:
        raise MissingDependencyError("jax", "jax") from error
    return jax


def place_of(jax: Any, device: str) -> Any:
    """The device; JAX's default one for `auto`.

    Raises:
        ModelError: no such device here.
    """
    kind, number = kind_and_number(device)
    if kind == "auto":
        return jax.devices()[0]
    try:
        found = jax.devices("gpu" if kind == "cuda" else "cpu")
    except RuntimeError:  # JAX's way to say none
        found = []
    if number >= len(found):
        raise ModelError(f"device {device!r} is not here: jax sees {len(found)} of them")
    return found[number]


def to_device(jax: Any, value: Any, place: Any) -> Any:
    """Arrays and lists of numbers on a device; not copied on a CPU when they lie at a multiple of 64."""
    import numpy as np

    return jax.device_put(np.asarray(value) if isinstance(value, list) else value, place)


def to_arrays(value: Any) -> Any:
    """numpy arrays; a list of outputs would be taken for a list of rows."""
    import numpy as np

    if isinstance(value, Mapping):
        return {name: to_arrays(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(to_arrays(item) for item in value)
    array = np.asarray(value)
    return array if array.dtype.kind in "biufc" and array.dtype.isbuiltin == 1 else array.astype(np.float32)
