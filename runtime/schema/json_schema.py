"""JSON Schema (2020-12, as OpenAPI 3.1 uses) of lowered hints."""

from __future__ import annotations

from typing import Any

import msgspec

from .fields import Fields
from .lower import kind_of
from .pydantic_model import PydanticKind

_COMPONENTS = "#/components/schemas/{name}"


def schema_of(lowered: Any) -> dict[str, Any]:
    """A schema that stands alone: definitions are in its own `$defs`."""
    schema, definitions = _schema(lowered, "#/$defs/{name}")
    return {**schema, "$defs": definitions} if definitions else schema


def schema_in(lowered: Any, components: dict[str, Any]) -> dict[str, Any]:
    """A schema whose definitions go to `components` (OpenAPI's `#/components/schemas`)."""
    schema, definitions = _schema(lowered, _COMPONENTS)
    components.update(definitions)
    return schema


def _schema(lowered: Any, ref_template: str) -> tuple[dict[str, Any], dict[str, Any]]:
    extra: dict[str, Any] = {}

    def hook(hint: Any) -> dict[str, Any]:
        kind = kind_of(hint)
        if kind is None:
            raise NotImplementedError(f"{hint} has no JSON Schema")
        if isinstance(kind, PydanticKind):
            schema, definitions = kind.schema_with_refs(ref_template)
            extra.update(definitions)
            return schema
        return kind.json_schema()

    (schema,), definitions = msgspec.json.schema_components(
        [type(None) if lowered is None else lowered], schema_hook=hook, ref_template=ref_template
    )
    fields = Fields.of(lowered)
    if fields is not None:
        for definition in definitions.values():
            if definition.get("title", "").partition("[")[0] in fields.names and "properties" in definition:
                definition.setdefault("additionalProperties", False)
    return schema, {**extra, **definitions}
