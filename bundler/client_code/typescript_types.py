"""JSON Schema → TypeScript's types."""

from __future__ import annotations

import json
import re

from .model import COMPONENTS, Schema, Typed
from .records import Record, Records

_PLAIN = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}
_BINARY = ("file", "bytes", "image")
_RESULTS = {
    "file": "DownloadedFile",
    "bytes": "Uint8Array",
    "image": "Blob",
    "dataframe": "Record<string, unknown>[]",
}
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


class TypescriptTypes:
    """Types for one file."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def given(self, typed: Typed) -> str:
        """Of an argument."""
        if typed.kind in _BINARY:
            return self._maybe("Upload", typed)
        if typed.items in _BINARY:
            return self._maybe("readonly Upload[]", typed)
        if typed.kind == "dataframe":
            return self._maybe("Table", typed)
        if typed.kind in ("array", "tensor"):
            return self._maybe(f"{self._numbers(_without_null(typed.schema))} | NdArray", typed)
        return self.type(typed.schema, given=True)

    def result(self, typed: Typed) -> str:
        if typed.kind in _RESULTS:
            return self._maybe(_RESULTS[typed.kind], typed)
        if typed.kind in ("array", "tensor") and _without_null(typed.schema).get("type") != "array":
            return self._maybe("Nested", typed)
        return self.type(typed.schema, given=False)

    def type(self, schema: Schema, *, given: bool) -> str:
        """Of the JSON form."""
        if "$ref" in schema:
            return self._records.name(str(schema["$ref"]).removeprefix(COMPONENTS), given=given)
        if "const" in schema or "enum" in schema:
            return " | ".join(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._union([self.type(each, given=given) for each in schema[key]])
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._union([self.type({**schema, "type": each}, given=given) for each in kind])
        return self._of_type(kind, schema, given=given)

    def _of_type(self, kind: object, schema: Schema, *, given: bool) -> str:
        if kind == "array":
            items = schema.get("items")
            inner = self.type(items, given=given) if isinstance(items, dict) else "unknown"
            return f"{'readonly ' if given else ''}{f'({inner})' if _compound(inner) else inner}[]"
        if kind == "object":
            values = schema.get("additionalProperties")
            inner = self.type(values, given=given) if isinstance(values, dict) and values else "unknown"
            return f"Record<string, {inner}>"
        return _PLAIN.get(kind, "unknown") if isinstance(kind, str) else "unknown"

    def alias(self, record: Record) -> str:
        """Of a definition that is no object with fields."""
        return self.type(record.schema, given=record.given)

    def _numbers(self, schema: Schema) -> str:
        """An array as nested lists, its rows also as typed arrays."""
        items = schema.get("items")
        if schema.get("type") != "array" or not isinstance(items, dict):
            return "Nested" if isinstance(schema.get("type"), list) else self.type(schema, given=True)
        if items.get("type") in ("number", "integer"):
            return "Numbers"
        inner = self._numbers(items)
        return f"readonly {f'({inner})' if _compound(inner) else inner}[]"

    def _maybe(self, text: str, typed: Typed) -> str:
        return f"{text} | null" if typed.optional else text

    def _union(self, types: list[str]) -> str:
        found = list(dict.fromkeys(types))
        return "unknown" if "unknown" in found else " | ".join(found)


def _compound(text: str) -> bool:
    return "|" in text or text.startswith("readonly ")


def _without_null(schema: Schema) -> Schema:
    parts = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    found: Schema = parts[0] if len(parts) == 1 else schema
    return found


def key(name: str) -> str:
    """A field's name where TypeScript expects one."""
    return name if _NAME.fullmatch(name) else json.dumps(name)
