"""What a client of any language is written from: the OpenAPI document, read and checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import BuildError
from ...runtime.schema.calling import CALLING

Schema = Mapping[str, Any]

COMPONENTS = "#/components/schemas/"
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ROUTE = re.compile(r"(?:/[A-Za-z0-9._~!$'()*+,;=:@-]+)+")


@dataclass(frozen=True)
class Typed:
    """A parameter's or a result's type."""

    kind: str
    """As in a `TypeSpec`: `array`, `file`, `json` …"""
    schema: Schema
    """Of the JSON form."""
    dtype: str = ""
    items: str = ""
    """Kind inside a list of files, bytes or images; else empty."""
    optional: bool = False


@dataclass(frozen=True)
class Parameter:
    name: str
    typed: Typed
    required: bool
    keyword_only: bool
    default: Any
    """In JSON's values; None when `required`."""


@dataclass(frozen=True)
class Operation:
    """One api."""

    name: str
    route: str
    doc: str
    parameters: tuple[Parameter, ...]
    output: Typed
    stream: bool
    timeout_s: float


@dataclass(frozen=True)
class Service:
    name: str
    version: str
    doc: str
    operations: tuple[Operation, ...]
    records: Mapping[str, Schema]
    """Definitions that the types refer to, by the name behind `#/components/schemas/`."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Service:
        """Reads the document.

        Raises:
            BuildError: it is not tiffin's, was written by an earlier version, or holds names that would not
                be names in code.
        """
        try:
            operations = tuple(
                _operation(route, methods["post"])
                for route, methods in document["paths"].items()
                if CALLING in methods.get("post", {})
            )
            left_out = [
                route
                for route, methods in document["paths"].items()
                if CALLING not in methods.get("post", {})
            ]
            info = document["info"]
            service = cls(
                name=str(info["title"]),
                version=str(info.get("version", "0")),
                doc=str(info.get("description", "")),
                operations=operations,
                records=_used(operations, document.get("components", {}).get("schemas", {})),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BuildError(f"the schema is not tiffin's: {error!r}") from error
        if left_out and not operations:
            raise BuildError(
                f"the schema does not say how {left_out[0]} is called: it was written by an earlier tiffin; "
                "build the bundle again"
            )
        return service


def _operation(route: str, operation: Mapping[str, Any]) -> Operation:
    calling = operation[CALLING]
    name = operation["operationId"]
    if not _IDENTIFIER.fullmatch(name) or not _ROUTE.fullmatch(route):
        raise BuildError(f"the schema has an api {name!r} at {route!r}, which no code can be written for")
    doc = str(operation.get("description", ""))
    head, _, last = doc.rpartition("\n\n")
    return Operation(
        name=name,
        route=route,
        doc=head if last.startswith("Answered within ") else doc,
        parameters=tuple(map(_parameter, calling["parameters"])),
        output=_typed(calling["output"]),
        stream=bool(calling["stream"]),
        timeout_s=float(calling["timeout_s"]),
    )


def _parameter(described: Mapping[str, Any]) -> Parameter:
    name = described["name"]
    if not isinstance(name, str) or not name.isidentifier():
        raise BuildError(f"the schema has a parameter {name!r}, which no code can be written for")
    return Parameter(
        name=name,
        typed=_typed(described),
        required=bool(described["required"]),
        keyword_only=bool(described.get("keyword_only", False)),
        default=described.get("default"),
    )


def _typed(described: Mapping[str, Any]) -> Typed:
    schema = described["schema"]
    return Typed(
        kind=described["kind"],
        schema=schema,
        dtype=described.get("dtype", ""),
        items=described.get("items", {}).get("kind", ""),
        optional=any(each == {"type": "null"} for each in schema.get("anyOf", ())),
    )


def _used(operations: tuple[Operation, ...], schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definitions that are referred to, also by one another; in the order of the document."""
    waiting = [typed.schema for operation in operations for typed in _types(operation)]
    found: set[str] = set()
    while waiting:
        for name in references(waiting.pop()):
            if name not in found:
                found.add(name)
                waiting.append(schemas[name])
    return {name: schema for name, schema in schemas.items() if name in found}


def _types(operation: Operation) -> Iterator[Typed]:
    yield from (each.typed for each in operation.parameters)
    yield operation.output


def references(schema: Any) -> Iterator[str]:
    """Names of the definitions that a schema refers to."""
    if isinstance(schema, Mapping):
        target = schema.get("$ref")
        if isinstance(target, str):
            yield target.removeprefix(COMPONENTS)
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)
