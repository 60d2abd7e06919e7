"""From example values to `TypeSpec`: kind, dtype, shape with the batch axis named `n`, columns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..manifest import MethodSpec, TypeSpec
from .example import Example

BATCH_AXIS = "n"


def describe_call(
    function: Callable[..., Any], example: Example, result: Any, *, classes: int | None = None
) -> MethodSpec:
    """The signature of one method, read off one call.

    Args:
        function: what the parameter names are taken from.
        example: its arguments, with a batch of rows on axis 0 (list position, data frame row) of each.
        result: what the call gave.
        classes: number of classes, when the framework knows it.

    Returns:
        `batch` is False when the result has not one row for each row that went in.
    """
    inputs = {name: spec_of(value) for name, value in arguments(function, example).items()}
    output = spec_of(result)
    output.classes = classes
    given = [rows_of(value) for value in (*example.args, *example.kwargs.values())]
    answered = _result_rows(result)
    batch = bool(given) and None not in given and len(set(given)) == 1 and answered == {given[0]}
    return MethodSpec(batch=batch, inputs=inputs, output=output)


def without_example(classes: int | None) -> MethodSpec:
    """What is known of a classifier's method anyway; shapes are unknown."""
    return MethodSpec(output=None if classes is None else TypeSpec(kind="array", classes=classes))


def arguments(function: Callable[..., Any], example: Example) -> dict[str, Any]:
    """Parameter name to value; a function that does not tell its names gets `x`, `x1`, `x2` …"""
    try:
        bound = inspect.signature(function).bind(*example.args, **example.kwargs)
    except (TypeError, ValueError):
        names = ["x", *(f"x{place}" for place in range(1, len(example.args)))]
        return {**dict(zip(names, example.args, strict=False)), **example.kwargs}
    values: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            values.update({f"{name}{place}": item for place, item in enumerate(value)})
        elif kind is inspect.Parameter.VAR_KEYWORD:
            values.update(value)
        else:
            values[name] = value
    return values


def spec_of(value: Any) -> TypeSpec:
    """What one value looks like. Axis 0 of an array is a batch of any size; the other axes are fixed."""
    kind = _kind(value)
    if kind in {"array", "tensor"}:
        return TypeSpec(kind=kind, dtype=_dtype_name(value.dtype), shape=_shape(value.shape))
    if kind == "dataframe":
        columns = {str(name): str(dtype) for name, dtype in value.dtypes.items()}
        return TypeSpec(kind=kind, columns=columns, shape=[BATCH_AXIS, len(columns)])
    if kind == "number":
        return TypeSpec(kind=kind, dtype="int64" if isinstance(value, int) else "float64")
    if kind == "json":
        return TypeSpec(kind=kind, json_schema=json_schema(value))
    return TypeSpec(kind=kind)


def json_schema(value: Any, depth: int = 0) -> dict[str, Any]:  # noqa: PLR0911 - one rule a kind
    """JSON Schema of a value's JSON form, as far as one value tells; `{}` allows anything."""
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, kind):
            return {"type": name}
    if depth == 4:
        return {}
    if isinstance(value, Mapping):
        properties = {str(key): json_schema(item, depth + 1) for key, item in value.items()}
        return {"type": "object", "properties": properties}
    if isinstance(value, tuple):
        return {"type": "array", "prefixItems": [json_schema(item, depth + 1) for item in value]}
    if isinstance(value, list):
        items = [json_schema(item, depth + 1) for item in value[:16]]
        same = bool(items) and all(item == items[0] for item in items)
        return {"type": "array", "items": items[0]} if same else {"type": "array"}
    if _kind(value) in {"array", "tensor", "dataframe"}:
        return {"type": "array"}
    return {}


def rows_of(value: Any) -> int | None:
    """Rows of a batch; None for a value that is no batch (a number, a string, a dict)."""
    if isinstance(value, (list, tuple)):
        return len(value)
    shape = getattr(value, "shape", None)
    return int(shape[0]) if shape is not None and len(shape) > 0 else None


def _result_rows(result: Any) -> set[int | None]:
    """A tuple or dict of arrays holds one batch in each."""
    parts = [result]
    if isinstance(result, tuple):
        parts = [*result]
    elif isinstance(result, Mapping):
        parts = [*result.values()]
    return {rows_of(part) for part in parts}


def _kind(value: Any) -> str:
    """Told by the class, so that no library is imported to find out."""
    for plain, name in (
        (bool, "boolean"),
        (str, "text"),
        (bytes, "bytes"),
        (int, "number"),
        (float, "number"),
    ):
        if isinstance(value, plain):
            return name
    for cls in type(value).__mro__:
        home = cls.__module__.partition(".")[0]
        for library, names, kind in _KINDS:
            if home == library and cls.__name__ in names:
                return kind
    return "json"


_KINDS = (
    ("numpy", {"ndarray", "generic"}, "array"),
    ("torch", {"Tensor"}, "tensor"),
    ("pandas", {"DataFrame"}, "dataframe"),
    ("pandas", {"Series"}, "array"),
    ("PIL", {"Image"}, "image"),
)


def _dtype_name(dtype: Any) -> str:
    """`float32`; `str` for every width of string; `bfloat16` for torch's."""
    if getattr(dtype, "kind", "") in {"U", "T"}:
        return "str"
    return str(dtype).removeprefix("torch.")


def _shape(shape: Any) -> list[int | str]:
    return [BATCH_AXIS, *(int(size) for size in shape[1:])] if len(shape) else []
