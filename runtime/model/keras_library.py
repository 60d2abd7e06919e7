"""Keras with the backend that a model was saved with, and the names that its backends give devices."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from ...errors import MissingDependencyError, ModelError
from .device import kind_and_number
from .tensorflow_library import prepare_tensorflow

BACKEND = "KERAS_BACKEND"
_BACKENDS = ("tensorflow", "jax", "torch")


def keras_or_error(backend: str = "") -> Any:
    """The library.

    Args:
        backend: of the saved model. It is chosen when nothing has chosen yet: `KERAS_BACKEND`, or an import.

    Raises:
        MissingDependencyError: Keras, or every backend, is not installed.
    """
    if "keras" not in sys.modules and BACKEND not in os.environ:
        here = [name for name in (backend, *_BACKENDS) if name in _BACKENDS and find_spec(name)]
        if not here and find_spec("keras"):
            raise MissingDependencyError("a backend of Keras: tensorflow, jax or torch", "tensorflow")
        if here:
            os.environ[BACKEND] = here[0]
    try:
        import keras
    except ImportError as error:
        raise MissingDependencyError("keras", "keras") from error
    if keras.backend.backend() == "tensorflow":
        prepare_tensorflow()
    return keras


def place_of(keras: Any, device: str) -> str:
    """Keras's own name: `cpu:0`, `gpu:1`; empty for `auto`, where the backend takes its first.

    Raises:
        ModelError: no such device here.
    """
    kind, number = kind_and_number(device)
    if kind == "auto":
        return ""
    if kind == "cuda" and number >= (count := _gpu_count(keras.backend.backend())):
        raise ModelError(f"device {device!r} is not here: {keras.backend.backend()} sees {count} GPUs")
    return f"{'gpu' if kind == 'cuda' else 'cpu'}:{number}"


@contextlib.contextmanager
def on(keras: Any, place: str) -> Iterator[None]:
    """Within, tensors are made there."""
    with keras.device(place) if place else contextlib.nullcontext():
        yield


def _gpu_count(backend: str) -> int:
    if backend == "tensorflow":
        import tensorflow as tf

        return len(tf.config.list_logical_devices("GPU"))
    if backend == "jax":
        import jax

        try:
            return len(jax.devices("gpu"))
        except RuntimeError:  # jax's way to say none
            return 0
    import torch

    return int(torch.cuda.device_count())
