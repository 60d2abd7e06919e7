"""`x-tiffin` of an OpenAPI operation: what JSON Schema has no words for, and a client wants to know.

    {"parameters": [{"name": "flowers", "kind": "array", "dtype": "float32", "shape": ["n", 4]}, …],
     "output": {"kind": "json", "schema": {…}}, "stream": false, "timeout_s": 30.0}

The parameters stand in their order. `kind`, `dtype`, `dtypes`, `shape`, `columns` and `classes` are those of
a `TypeSpec`; `optional` (None is allowed), `required`, `default` and `keyword_only` say how a call may leave
them out; `items` is the kind inside `list[File]` and the like. `schema` is that of the JSON form, of one item
for streams. `input_stream` names the parameter whose items may come while the api runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .inputs import Inputs
from .json_schema import schema_in

if TYPE_CHECKING:
    from ..manifest import TypeSpec
    from .openapi import Route

CALLING = "x-tiffin"
_WORDS = ("dtype", "dtypes", "shape", "columns", "classes")


def calling(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    """The object; definitions go to `components`."""
    return {
        "parameters": _parameters(route.inputs, components),
        "output": {**_typed(route.output.spec), "schema": route.output.json_schema(components)},
        "stream": route.stream,
        **({} if route.inputs.stream is None else {"input_stream": route.inputs.stream.name}),
        "timeout_s": route.timeout_s,
    }


def _parameters(inputs: Inputs, components: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, parameter in inputs.parameters.items():
        described = {"name": name, **_typed(inputs.specs[name])}
        if parameter.element is not None:
            described["items"] = {"kind": parameter.element.spec().kind}
        if parameter.optional:
            described["optional"] = True
        if parameter.keyword_only:
            described["keyword_only"] = True
        described["required"] = parameter.required
        if not parameter.required:
            described["default"] = inputs.defaults[name]
        found.append({**described, "schema": schema_in(parameter.plain, components)})
    return found


def _typed(spec: TypeSpec) -> dict[str, Any]:
    words = {word: getattr(spec, word) for word in ("kind", *_WORDS)}
    return {word: value for word, value in words.items() if value not in (None, "", [])}
