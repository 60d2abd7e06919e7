"""The OpenAPI 3.1 document of a service, from its compiled routes."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Protocol

from . import media
from .calling import CALLING, calling
from .example import example_of
from .inputs import Inputs
from .json_schema import schema_in
from .outputs import Output
from .parameter import Parameter

PROBLEM = "application/problem+json"
_PROBLEM_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference", "description": "path of the request"},
        "request_id": {"type": "string", "description": "finds the request in the server's log"},
        "path": {"type": "string", "description": "where in the input, as `$.flowers[0][2]`"},
    },
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "additionalProperties": False,
}
_RETRY_AFTER = {
    "Retry-After": {"description": "seconds to wait", "schema": {"type": "integer", "minimum": 0}}
}
_PROBLEMS = {
    "400": "Malformed: not what the media type says",
    "406": "None of the accepted media types can be given",
    "413": "The body is larger than this route takes",
    "415": "The media type is not one of those listed",
    "422": "Well-formed, but of the wrong type, shape, dtype or range; `path` says where",
    "500": "The service failed",
    "503": "Refused because the server is full or stopping",
    "504": "Not answered within the time limit",
}


class Route(Protocol):
    """What is taken of an ApiInfo."""

    @property
    def name(self) -> str: ...
    @property
    def route(self) -> str: ...
    @property
    def doc(self) -> str: ...
    @property
    def inputs(self) -> Inputs: ...
    @property
    def output(self) -> Output: ...
    @property
    def stream(self) -> bool: ...
    @property
    def timeout_s(self) -> float: ...


class Described(Protocol):
    """What is taken of a ServiceInfo."""

    @property
    def name(self) -> str: ...
    @property
    def doc(self) -> str: ...
    @property
    def apis(self) -> Any: ...


_EVENTS = (
    "server-sent events: `data` is an item in JSON; the last is named `end`, or `error` and holds a problem"
)
"""No type: tools hold it against the text, or against each event."""


def openapi(info: Described, *, version: str = "0") -> dict[str, Any]:
    """The document, ready for JSON or YAML.

    Args:
        info: a ServiceInfo; `apis` is a map or a list of ApiInfos.
        version: of the bundle, when there is one.
    """
    components: dict[str, Any] = {"Problem": copy.deepcopy(_PROBLEM_SCHEMA)}
    routes: Iterable[Route] = info.apis.values() if hasattr(info.apis, "values") else info.apis
    paths = {route.route: {"post": _operation(info.name, route, components)} for route in routes}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": info.name, "version": version},
        "paths": paths,
        "components": {"schemas": components},
        "tags": [{"name": info.name}],
    }
    if mounts := getattr(info, "mounts", {}):
        document["x-tiffin-mounts"] = {name: mount.path for name, mount in mounts.items()}
    if info.doc:
        document["info"]["description"] = info.doc
        document["tags"][0]["description"] = info.doc.strip().partition("\n")[0]
    return document


def _operation(service: str, route: Route, components: dict[str, Any]) -> dict[str, Any]:
    summary, _, _ = route.doc.strip().partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [service],
        "summary": summary or route.name,
        "description": (route.doc.strip() + f"\n\nAnswered within {route.timeout_s:g} s.").strip(),
        "responses": _responses(route, components),
        CALLING: calling(route, components),
    }
    if route.inputs.names:
        operation["requestBody"] = _request_body(route, components)
        queries = [
            _query(parameter, components)
            for parameter in route.inputs.parameters.values()
            if parameter.scalar
        ]
        if queries:
            operation["parameters"] = queries
    return operation


def _query(parameter: Parameter, components: dict[str, Any]) -> dict[str, Any]:
    """Scalars may stand in the query too; the body may then leave them out."""
    return {
        "name": parameter.name,
        "in": "query",
        "required": False,
        "description": "instead of the field of that name in the body",
        "schema": schema_in(parameter.plain, components),
    }


def _request_body(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    name = _unique(route.inputs.title, components)
    components[name] = {}  # holds the name while the definitions come in
    components[name] = route.inputs.json_schema(components)
    reference = {"$ref": f"#/components/schemas/{name}"}
    example = example_of(route.inputs)
    content = {}
    for media_type in route.inputs.media_types:
        entry: dict[str, Any] = {"schema": _body_schema(media_type, route.inputs, reference, components)}
        if media_type == media.JSON and example is not None:
            entry["example"] = example
        content[media_type] = entry
    # What is scalar may come in the query instead.
    needed = any(each.required and not each.scalar for each in route.inputs.parameters.values())
    return {"required": needed, "content": content}


def _unique(name: str, components: dict[str, Any]) -> str:
    found, number = name, 2
    while found in components:
        found, number = f"{name}{number}", number + 1
    return found


def _body_schema(
    media_type: str, inputs: Inputs, reference: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    if media_type in (media.JSON, media.MSGPACK, media.FORM):
        return reference
    if media_type == media.MULTIPART:
        return _multipart_schema(inputs, components)
    if media_type == media.NDJSON and inputs.stream is not None:
        return {
            "type": "string",
            "description": f"items of `{inputs.stream.name}`, one a line, read while the api runs; all other "
            "parameters stand in the query",
            "x-tiffin-items": schema_in(inputs.stream.element.plain, components),
        }
    return {"type": "string"} if media_type.startswith("text/") else {}


def _multipart_schema(inputs: Inputs, components: dict[str, Any]) -> dict[str, Any]:
    """Files as binary parts; everything else as text or JSON."""
    properties: dict[str, Any] = {}
    for name, parameter in inputs.parameters.items():
        binary: dict[str, Any] = {"contentMediaType": "application/octet-stream"}
        if parameter.kind is not None and parameter.kind.any_part:
            properties[name] = binary
        elif parameter.element is not None and parameter.element.any_part:
            properties[name] = {"type": "array", "items": binary}
        else:
            properties[name] = schema_in(parameter.plain, components)
    required = [name for name, parameter in inputs.parameters.items() if parameter.required]
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _responses(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    json_schema = route.output.json_schema(components)
    content: dict[str, Any] = {}
    for media_type in route.output.media_types:
        if media_type == media.EVENTS:
            # One event an item; each `data:` line is one such JSON value.
            content[media_type] = {"schema": {"description": _EVENTS}}
        elif media_type in (media.JSON, media.MSGPACK):
            content[media_type] = {"schema": json_schema}
        else:
            content[media_type] = {"schema": {"type": "string"} if media_type.startswith("text/") else {}}
    said = "A stream of results" if route.stream else "The result"
    responses: dict[str, Any] = {"200": {"description": said, "content": content}}
    for status, description in _PROBLEMS.items():
        problem: dict[str, Any] = {
            "description": description,
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status == "503":
            problem["headers"] = copy.deepcopy(_RETRY_AFTER)
        responses[status] = problem
    return responses
