"""safetensors files whose tensors lie at multiples of 64 bytes, so that they are used where they lie.

The layout is the library's own, which reads these files: u64 length of the head, the head in JSON, the
tensors (https://huggingface.co/docs/safetensors). The head is filled up with spaces, as the format allows;
tensors must follow each other without a gap, so those whose length is a multiple of 64 come first.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import IntegrityError, ModelError
from .buffers import ALIGNMENT

_LENGTH = 8
_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    **{f"{sign}int{bits}": f"{sign.upper() or 'I'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": "BOOL",
}


def write(tensors: Mapping[str, Any], path: Path) -> None:
    """
    Args:
        tensors: name to numpy array.

    Raises:
        ModelError: a dtype that the format does not have.
    """
    import numpy as np

    head: dict[str, Any] = {}
    at = 0
    order = sorted(
        tensors, key=lambda name: (tensors[name].nbytes % ALIGNMENT != 0, -tensors[name].itemsize, name)
    )
    for name in order:
        array = tensors[name]
        if array.dtype.name not in _NAMES:
            raise ModelError(f"{name!r} is {array.dtype.name}, which safetensors does not hold")
        end = at + array.nbytes
        head[name] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, end],
        }
        at = end
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-(_LENGTH + len(text)) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(_LENGTH, "little") + text)
        for name in order:
            file.write(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data)


def read(path: Path) -> dict[str, Any]:
    """Name to numpy array: read-only views of the file, which is mapped.

    Raises:
        IntegrityError: it is damaged.
    """
    import numpy as np

    with path.open("rb") as file:
        whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    start = _LENGTH + int.from_bytes(whole[:_LENGTH], "little")
    try:
        head = json.loads(bytes(whole[_LENGTH:start]))
        found = {}
        for name, known in head.items():
            if name != "__metadata__":
                begin, end = known["data_offsets"]
                raw = np.frombuffer(whole[start + begin : start + end], np.uint8)
                found[name] = raw.view(_dtype(known["dtype"])).reshape(known["shape"])
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise IntegrityError(f"{path} is damaged: {error!r}") from error
    return found


def _dtype(name: str) -> Any:
    import numpy as np

    ours = next(key for key, value in _NAMES.items() if value == name)
    if ours.startswith(("bfloat", "float8")):
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, ours))
    return np.dtype(ours)
