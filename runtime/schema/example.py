"""Requests to try a route with: small, and accepted by the route itself."""

from __future__ import annotations

from typing import Any

import msgspec

from ...errors import RequestError
from .inputs import Inputs
from .parameter import Parameter

_MAX_DEPTH = 8


def example_of(inputs: Inputs) -> dict[str, Any] | None:
    """A JSON body that the route takes; None when none could be made, or when it would be long."""
    body = {}
    for name, parameter in inputs.parameters.items():
        value = _value(parameter) if parameter.required else inputs.defaults[name]
        if value is not None:
            body[name] = value
        elif parameter.required and not parameter.optional:
            return None
    try:
        inputs.decode_json(msgspec.json.encode(body))
    except RequestError:
        return None  # constraints that a schema cannot tell, such as a validator of a pydantic model
    return body


def _value(parameter: Parameter) -> Any:
    kind = parameter.kind or parameter.element
    example = kind.example() if kind is not None else None
    if example is not None:
        return [example] if parameter.kind is None else example
    schema = parameter.spec().json_schema
    return None if parameter.array is not None else from_schema(schema, schema.get("$defs", {}))


def from_schema(schema: dict[str, Any], definitions: dict[str, Any], depth: int = 0) -> Any:
    """The smallest value that a JSON Schema describes, with something in its lists."""
    if depth > _MAX_DEPTH:
        return None
    if "$ref" in schema:
        return from_schema(definitions.get(schema["$ref"].rpartition("/")[2], {}), definitions, depth + 1)
    if "anyOf" in schema:
        return from_schema(schema["anyOf"][0], definitions, depth + 1)
    given = [schema[key] for key in ("default", "const") if key in schema] or schema.get("enum")
    return given[0] if given else _of_type(schema, definitions, depth)


def _of_type(schema: dict[str, Any], definitions: dict[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        required = schema.get("required", [])
        fields = {name: entry for name, entry in schema.get("properties", {}).items() if name in required}
        return {name: from_schema(entry, definitions, depth + 1) for name, entry in fields.items()}
    return _list(schema, definitions, depth) if kind == "array" else _scalar(kind, schema)


def _list(schema: dict[str, Any], definitions: dict[str, Any], depth: int) -> Any:
    if "prefixItems" in schema:
        return [from_schema(entry, definitions, depth + 1) for entry in schema["prefixItems"]]
    items = schema.get("items")
    if not isinstance(items, dict) or not items:
        return []
    return [from_schema(items, definitions, depth + 1)] * max(1, schema.get("minItems", 1))


def _scalar(kind: Any, schema: dict[str, Any]) -> Any:
    if kind == "integer":
        return int(schema.get("minimum", 1))
    if kind == "number":
        return float(schema.get("minimum", 1.0))
    if kind == "boolean":
        return True
    if kind == "string":
        return _TEXTS.get(schema.get("format", ""), "text" + "x" * max(0, schema.get("minLength", 0) - 4))
    return None


_TEXTS = {
    "date-time": "2024-01-31T12:00:00Z",
    "date": "2024-01-31",
    "time": "12:00:00Z",
    "duration": "PT1S",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "decimal": "1.5",
}
