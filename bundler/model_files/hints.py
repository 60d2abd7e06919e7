"""From a model's signature to the type hints of the service that is written for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...runtime.manifest import MethodSpec, TypeSpec

_JAXTYPING = {
    **{f"float{bits}": f"Float{bits}" for bits in (16, 32, 64)},
    **{f"int{bits}": f"Int{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UInt{bits}" for bits in (8, 16, 32, 64)},
    "bool": "Bool",
}
NUMPY = "import numpy as np"
PANDAS = "import pandas as pd"
ANY = "from typing import Any"
PILLOW = "from PIL import Image"


@dataclass
class Imports:
    """What the hints need at the top of the file."""

    families: set[str] = field(default_factory=set)
    """Of jaxtyping."""
    lines: set[str] = field(default_factory=set)

    @property
    def standard(self) -> list[str]:
        return [line for line in sorted(self.lines) if line == ANY]

    @property
    def others(self) -> list[str]:
        found = [line for line in sorted(self.lines) if line != ANY]
        if self.families:
            found.append(f"from jaxtyping import {', '.join(sorted(self.families))}")
        return [line for line in found if line.startswith("import")] + [
            "import tiffin",
            *(line for line in found if line.startswith("from")),
        ]


def input_hint(spec: TypeSpec, imports: Imports) -> str:
    """The hint of a parameter."""
    if spec.kind == "json" and spec.json_schema.get("items") == {"type": "string"}:
        return "list[str]"
    return _hint(spec, imports, loose=False)


def output_hint(method: MethodSpec, imports: Imports) -> str:
    """The hint behind `->`; sizes that may follow those of an input are left open."""
    if method.output is None:
        arrays = bool(method.inputs) and all(spec.kind == "array" for spec in method.inputs.values())
        imports.lines.add(NUMPY if arrays else ANY)
        return "np.ndarray" if arrays else "Any"
    behind_rows = [axis for spec in method.inputs.values() for axis in (spec.shape or [0, "..."])[1:]]
    open_axes = any(isinstance(axis, str) for axis in behind_rows)
    return _hint(method.output, imports, loose=open_axes and bool(method.output.shape))


def _hint(spec: TypeSpec, imports: Imports, *, loose: bool) -> str:
    if spec.kind == "dataframe":
        imports.lines.add(PANDAS)
        return "pd.DataFrame"
    if spec.kind in {"array", "tensor"} and spec.dtype in {"str", "object"}:
        depth = max(1, len(spec.shape or ["n"]))
        return "list[" * depth + "str" + "]" * depth
    if spec.kind in {"array", "tensor"}:
        imports.lines.add(NUMPY)
        family = _JAXTYPING.get(spec.dtype)
        if family is None:
            return "np.ndarray"
        imports.families.add(family)
        return f'{family}[np.ndarray, "{_dims(spec, loose=loose)}"]'
    plain = {"text": "str", "number": "float", "boolean": "bool", "bytes": "bytes"}.get(spec.kind)
    if plain is None:
        imports.lines.add(ANY)
        return "Any"
    return plain


def _dims(spec: TypeSpec, *, loose: bool) -> str:
    if spec.shape is None:
        return "n ..."
    if loose:
        return f"{_dim(spec.shape[0])} ..."
    return " ".join(map(_dim, spec.shape))


def _dim(axis: int | str) -> str:
    """Sizes stay; names become names of Python: ONNX allows any text."""
    if isinstance(axis, int) or axis == "...":
        return str(axis)
    return re.sub(r"\W+", "_", axis, flags=re.ASCII).strip("_") or "_"
