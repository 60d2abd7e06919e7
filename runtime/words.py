"""Types and sizes in words, for tables and READMEs."""

from __future__ import annotations

from .batching.limits import max_rows
from .manifest import MethodSpec, RunnerSpec, TypeSpec

_UNITS = ("B", "kB", "MB", "GB", "TB")
_KINDS = {"dataframe": "data frame"}
_SHOWN_COLUMNS = 6
_SHOWN_DIGITS = 12


def type_words(spec: TypeSpec | None) -> str:
    """`float32[n, 4] array`, `data frame (age: int64, …)`, `list of text`."""
    if spec is None:
        return "nothing"
    if spec.kind in {"array", "tensor"}:
        dtype = spec.dtype or " or ".join(spec.dtypes) or "any"
        shape = "" if spec.shape is None else "[" + ", ".join(map(str, spec.shape)) + "]"
        return f"{dtype}{shape} {spec.kind}"
    if spec.kind == "dataframe" and spec.columns:
        columns = [f"{name}: {dtype}" for name, dtype in spec.columns.items()]
        more = ["…"] if len(columns) > _SHOWN_COLUMNS else []
        return f"data frame ({', '.join(columns[:_SHOWN_COLUMNS] + more)})"
    if spec.kind in {"json", "number"}:
        return _json_words(spec.json_schema)
    return _KINDS.get(spec.kind, spec.kind)


def batch_words(runner: RunnerSpec, method: MethodSpec) -> str:
    """`64 rows`, `64 rows and 8192 of length, padded to 16, 32, 64`, `a call at a time`."""
    if not method.batch:
        return "a call at a time"
    words = f"{max_rows(runner, method)} rows"
    if method.max_cost is not None:
        words += f" and {method.max_cost} of {method.cost.rpartition(':')[2]}"
    if method.padding is not None:
        edges = ", ".join(map(str, method.padding.buckets)) or "16, 32, 64 …"
        words += f", padded to {edges}"
    if method.sizes:
        words += f", filled up to {', '.join(map(str, method.sizes))} rows"
    return words


def size_words(size_bytes: int) -> str:
    """`1.2 GB`; powers of 1,000."""
    size = float(size_bytes)
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def digest_words(digest: str) -> str:
    """`sha256:6a731b820200…`: enough to tell two apart."""
    return f"{digest[: len('sha256:') + _SHOWN_DIGITS]}…"


def time_words(text: str) -> str:
    """`2026-11-21 21:58` of the ISO 8601 form; UTC, as that is."""
    return text.replace("T", " ")[:16]


def _json_words(schema: dict[str, object]) -> str:
    items = schema.get("items")
    if schema.get("type") == "array" and isinstance(items, dict):
        return f"list of {_json_words(items)}"
    kind = schema.get("type")
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, dict):
        return f"map of {_json_words(values)}"
    return {"string": "text", "object": "object"}.get(kind, kind) if isinstance(kind, str) else "JSON"
