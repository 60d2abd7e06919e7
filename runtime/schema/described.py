"""What callers are told of an api's parameters: the name of the body, its schema, the defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ServiceDefinitionError
from .encode import to_plain
from .json_schema import schema_in
from .parameter import Parameter


def body_schema(
    title: str, parameters: Mapping[str, Parameter], defaults: Mapping[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    """JSON Schema of a JSON body; definitions go to `components`."""
    properties = {}
    for name, parameter in parameters.items():
        properties[name] = schema_in(parameter.plain, components)
        if not parameter.required:
            properties[name] = {**properties[name], "default": defaults[name]}
    required = [name for name, parameter in parameters.items() if parameter.required]
    schema = {"type": "object", "title": title, "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def plain_defaults(found: list[Parameter], where: str) -> dict[str, Any]:
    """Parameter to default in plain JSON values, for those that have one.

    Args:
        where: `service.py:12 Iris.classify`, for errors.

    Raises:
        ServiceDefinitionError: one has no such form.
    """
    defaults = {}
    for parameter in found:
        if not parameter.required:
            try:
                defaults[parameter.name] = to_plain(parameter.default)
            except (TypeError, ValueError, RecursionError) as error:
                raise ServiceDefinitionError(
                    f"{where}: the default of {parameter.name!r} cannot be shown to callers: {error}"
                ) from error
    return defaults


def title_of(function: Callable[..., Any]) -> str:
    """`classify_all` → `ClassifyAllInput`: the name of the body in the schema."""
    words = getattr(function, "__name__", "call").strip("_").split("_")
    return "".join(word[:1].upper() + word[1:] for word in words) + "Input"
