"""TensorFlow as a worker uses it: so many threads as it may, and no more of a GPU than it needs."""

from __future__ import annotations

import contextlib
from typing import Any

from ...errors import MissingDependencyError, ModelError
from .device import kind_and_number
from .threads import thread_count


def tensorflow_or_error() -> Any:
    """The library.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise MissingDependencyError("tensorflow", "tensorflow") from error
    prepare_tensorflow()
    return tf


def prepare_tensorflow() -> None:
    """Before its first operation, after which it no longer listens."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError, ValueError):
        if threads := thread_count():
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            # Else the first worker takes all of the memory.
            tf.config.experimental.set_memory_growth(gpu, True)


def place_of(tf: Any, device: str) -> str:
    """TensorFlow's own name: `/CPU:0`, `/GPU:1`; empty for `auto`, where it takes its first GPU.

    Raises:
        ModelError: no such device here.
    """
    kind, number = kind_and_number(device)
    if kind == "auto":
        return ""
    if kind == "cuda" and number >= (count := len(tf.config.list_logical_devices("GPU"))):
        raise ModelError(f"device {device!r} is not here: tensorflow sees {count} GPUs")
    return f"/{'GPU' if kind == 'cuda' else 'CPU'}:{number}"
