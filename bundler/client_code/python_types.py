"""JSON Schema → Python's type hints."""

from __future__ import annotations

from typing import Any

from .model import COMPONENTS, Schema, Typed
from .records import Record, Records

_PLAIN = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "None"}
_BINARY = {"file": "Upload", "bytes": "Upload", "image": "Upload"}
_RESULTS = {"file": "File", "bytes": "bytes", "image": "bytes", "dataframe": "list[dict[str, Any]]"}
_DTYPES = {"bool": "np.bool_", "bfloat16": "np.float32"}


class PythonTypes:
    """Hints for one file."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def given(self, typed: Typed) -> str:
        """Of an argument."""
        if typed.kind in ("array", "tensor"):
            return self._maybe("ArrayLike", typed)
        if typed.kind in _BINARY:
            return self._maybe(_BINARY[typed.kind], typed)
        if typed.items in _BINARY:
            return self._maybe(f"Sequence[{_BINARY[typed.items]}]", typed)
        if typed.kind == "dataframe":
            return self._maybe("Table", typed)
        return self.hint(typed.schema, given=True)

    def result(self, typed: Typed) -> str:
        if typed.kind in ("array", "tensor"):
            return self._maybe(f"NDArray[{dtype(typed)}]", typed)
        if typed.kind in _RESULTS:
            return self._maybe(_RESULTS[typed.kind], typed)
        return self.hint(typed.schema, given=False)

    def hint(self, schema: Schema, *, given: bool) -> str:
        """Of the JSON form."""
        if "$ref" in schema:
            return self._records.name(str(schema["$ref"]).removeprefix(COMPONENTS), given=given)
        if "const" in schema or "enum" in schema:
            return _literal(schema.get("enum", [schema.get("const")]))
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._union([self.hint(each, given=given) for each in schema[key]])
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._union([self.hint({**schema, "type": each}, given=given) for each in kind])
        return self._of_type(kind, schema, given=given)

    def _of_type(self, kind: object, schema: Schema, *, given: bool) -> str:
        if kind == "array":
            inner = (
                self.hint(schema["items"], given=given) if isinstance(schema.get("items"), dict) else "Any"
            )
            return f"{'Sequence' if given else 'list'}[{inner}]"
        if kind == "object":
            values = schema.get("additionalProperties")
            inner = self.hint(values, given=given) if isinstance(values, dict) and values else "Any"
            return f"{'Mapping' if given else 'dict'}[str, {inner}]"
        return _PLAIN.get(kind, "Any") if isinstance(kind, str) else "Any"

    def alias(self, record: Record) -> str:
        """Of a definition that is no object with fields."""
        return self.hint(record.schema, given=record.given)

    def _maybe(self, hint: str, typed: Typed) -> str:
        return f"{hint} | None" if typed.optional else hint

    def _union(self, hints: list[str]) -> str:
        found = list(dict.fromkeys(hints))
        if "Any" in found:
            return "Any"
        if "None" in found:
            found = [hint for hint in found if hint != "None"] + ["None"]
        return " | ".join(found)


def dtype(typed: Typed) -> str:
    """`np.float32`; `Any` when it is not known."""
    return _DTYPES.get(typed.dtype, f"np.{typed.dtype}") if typed.dtype else "Any"


def _literal(values: list[Any]) -> str:
    if not all(value is None or isinstance(value, (str, int, bool)) for value in values):
        return "Any"
    return f"Literal[{', '.join(repr(value) for value in values)}]"
