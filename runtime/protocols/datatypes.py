"""Names of element types as the Open Inference Protocol writes them, and the numpy dtypes that carry them."""

from __future__ import annotations

from typing import Any

import numpy as np

BYTES = "BYTES"
"""Elements of any length."""
BF16 = "BF16"
"""numpy has none: its bits are kept as uint16."""

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    BF16: np.dtype("<u2"),
}
"""Little-endian, as the binary form of every protocol is. BYTES has no fixed size and is not among them."""
DATATYPES = (*DTYPES, BYTES)
NAMES: dict[str, str] = {
    "bool": "BOOL",
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
    "bfloat16": BF16,
    "str": BYTES,
    "bytes": BYTES,
    "object": BYTES,
}
"""numpy's names, torch's bfloat16, and what a saved model calls strings."""


BY_DTYPE: dict[np.dtype[Any], str] = {dtype: name for name, dtype in DTYPES.items() if name != BF16}
"""Those whose arrays can be sent as they lie: `dtype.name` takes ten times as long as looking here."""


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The name for a dtype of numpy; empty when the protocol has none (complex, dates)."""
    found = BY_DTYPE.get(dtype)
    if found is not None:
        return found
    return BYTES if dtype.kind in "SUOT" else NAMES.get(dtype.name, "")
