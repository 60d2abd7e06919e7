"""Arrays with a dtype and a shape, in the notation of jaxtyping."""

from __future__ import annotations

import ast
from typing import Any

from .code import BENTOML, Source, arguments, literal

_NAMES = {
    "float16": "Float16",
    "float32": "Float32",
    "float64": "Float64",
    "int8": "Int8",
    "int16": "Int16",
    "int32": "Int32",
    "int64": "Int64",
    "uint8": "UInt8",
    "bool": "Bool",
}
_ANY = "Shaped"
_AXES = "nmk"
ARRAY_NAMES = frozenset({*_NAMES.values(), _ANY})


def array_hint(dtype: str, shape: Any) -> tuple[str, str]:
    """
    Args:
        dtype: numpy's name; empty, or one that jaxtyping has no name for: any.
        shape: a tuple with -1 or None where an axis varies; anything else: not known.

    Returns:
        `Float32[np.ndarray, "n 4"]`, and the name to import from jaxtyping; empty for a plain `np.ndarray`.
    """
    kind = _NAMES.get(dtype, "")
    if not kind and not isinstance(shape, tuple):
        return "np.ndarray", ""
    names = iter(_AXES)
    sizes = shape if isinstance(shape, tuple) else ("...",)
    dims = [next(names, "_") if size in {-1, None} else str(size) for size in sizes]
    return f'{kind or _ANY}[np.ndarray, "{" ".join(dims)}"]', kind or _ANY


def annotated_array(node: ast.expr, source: Source) -> tuple[str, str] | None:
    """`Annotated[np.ndarray, DType("float32"), Shape((-1, 4))]` as `array_hint` gives it, or None."""
    if not isinstance(node, ast.Subscript) or source.dotted(node.value).rpartition(".")[2] != "Annotated":
        return None
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    if not parts or source.dotted(parts[0]) != "numpy.ndarray":
        return None
    dtype, shape = "", None
    for part in parts[1:]:
        name = source.dotted(part.func) if isinstance(part, ast.Call) else ""
        if not isinstance(part, ast.Call) or name not in {
            f"{BENTOML}.validators.DType",
            f"{BENTOML}.validators.Shape",
        }:
            return None
        given = arguments(part)
        first = literal(part.args[0] if part.args else next(iter(given.values()), None))
        if name.endswith("DType"):
            dtype = first if isinstance(first, str) else ""
        else:
            shape = tuple(first) if isinstance(first, (tuple, list)) else None
    return array_hint(dtype, shape)
