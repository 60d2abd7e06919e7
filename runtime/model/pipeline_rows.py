"""Rows of a batch as pipelines take them, and their answers in plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rows_in(value: Any) -> list[Any]:
    """A list with one item a row.

    Args:
        value: a list; an array of texts; `uint8[n, h, w, 3]`, images; `float[n, samples]`, waves.
    """
    rows = list(value)
    if getattr(getattr(value, "dtype", None), "kind", "") in {"U", "O", "T"}:
        return [str(row) if isinstance(row, str) else row for row in rows]
    return [_row(row) for row in rows]


def _row(value: Any) -> Any:
    """Arrays of pixels become images; lists of numbers, as JSON has them, become arrays."""
    import numpy as np

    if isinstance(value, list) and value and isinstance(_innermost(value), (int, float)):
        array = np.asarray(value)
        value = array.astype(np.uint8) if array.ndim == 3 else array.astype(np.float32)
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim in (2, 3):
        from PIL import Image

        return Image.fromarray(value)
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        return value.copy()  # a batch off the wire is read-only memory, of which torch warns
    return value


def _innermost(value: Any) -> Any:
    while isinstance(value, list) and value:
        value = value[0]
    return value


def rows_out(result: Any, rows: int, *, unpacked: bool) -> list[Any]:
    """One answer a row.

    Args:
        unpacked: the only answer comes without its list.
    """
    if rows == 1 and (unpacked or not isinstance(result, list)):
        return [result]
    return list(result)


def plain(value: Any) -> Any:
    """Tensors become arrays, numpy's numbers become Python's, and dicts of any class become dicts."""
    import numpy as np

    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        tensor = value.detach().cpu()
        return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    return value
