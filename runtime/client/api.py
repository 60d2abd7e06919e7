"""One api of a server, as its schema tells: a signature, bodies out of arguments, results out of answers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import ServingError
from ..schema import media
from ..schema.calling import CALLING
from ..schema.encode import msgpack_bytes
from ..schema.file import OCTETS
from ..schema.kind import Buffer
from . import arguments, results

MEDIA_TYPE = media.MSGPACK
"""Of every request: it has numbers, binary arrays, files, dates and all of JSON's values."""


class Api:
    """Made of one operation of the OpenAPI document.

    Args:
        route: `/classify`.
        operation: with its `x-tiffin`.
    """

    def __init__(self, route: str, operation: Mapping[str, Any]) -> None:
        calling = operation[CALLING]
        self.name: str = operation["operationId"]
        self.route = route
        self.parameters: Sequence[Mapping[str, Any]] = calling["parameters"]
        self.output: Mapping[str, Any] = calling["output"]
        self.stream: bool = calling["stream"]
        self.timeout_s: float = calling["timeout_s"]
        self.signature = _signature(calling)
        self.doc = _doc(operation)
        self.accept = _accept(self.output["kind"], stream=self.stream)
        self._names = [each["name"] for each in self.parameters if not each.get("keyword_only")]
        self._known = {each["name"]: each for each in self.parameters}
        self._required = frozenset(each["name"] for each in self.parameters if each["required"])

    def body(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Buffer]:
        """The request body of a call, in pieces.

        Raises:
            TypeError: other arguments than the api has, as for any Python function.
            InvalidInputError: a value that cannot be sent.
        """
        return arguments.packed(self._bound(args, kwargs), self._known, msgpack_bytes)

    def result(self, media_type: str, body: bytes | bytearray) -> Any:
        """The result, or one item of a stream."""
        return results.result(media_type, body, self.output)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Name to value; what has a default and is not given stays out, for the server to fill in."""
        given = dict(zip(self._names, args, strict=False))
        fits = len(args) <= len(self._names) and given.keys().isdisjoint(kwargs)
        given.update(kwargs)
        if fits and given.keys() <= self._known.keys() and self._required <= given.keys():
            return given
        return dict(self.signature.bind(*args, **kwargs).arguments)  # raises with Python's own words


def apis_of(document: Mapping[str, Any]) -> dict[str, Api]:
    """The apis of an OpenAPI document by name.

    Raises:
        ServingError: it is no document of a tiffin server.
    """
    try:
        found = [
            Api(route, methods["post"])
            for route, methods in document["paths"].items()
            if CALLING in methods.get("post", {})
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ServingError(f"the server's schema is not tiffin's: {error!r}") from error
    if not found and document["paths"]:
        raise ServingError(f"the server's schema is not tiffin's: no operation has {CALLING}")
    return {api.name: api for api in found}


def _accept(kind: str, *, stream: bool) -> str:
    if stream:
        return f"{media.EVENTS}, {OCTETS}, {media.MSGPACK};q=0.9"
    return {"array": media.NPY, "tensor": media.NPY, "bytes": OCTETS}.get(kind, media.MSGPACK)


def _doc(operation: Mapping[str, Any]) -> str:
    """The docstring: the description without the line on time that the server adds."""
    text: str = operation.get("description", "")
    head, _, tail = text.rpartition("\n\n")
    return (
        head if tail.startswith("Answered within ") else "" if text.startswith("Answered within ") else text
    )


def _signature(calling: Mapping[str, Any]) -> inspect.Signature:
    kinds = inspect.Parameter
    parameters = [
        kinds(
            each["name"],
            kinds.KEYWORD_ONLY if each.get("keyword_only") else kinds.POSITIONAL_OR_KEYWORD,
            default=kinds.empty if each["required"] else each["default"],
            annotation=_words(each),
        )
        for each in calling["parameters"]
    ]
    words = _words(calling["output"])
    return inspect.Signature(
        parameters, return_annotation=f"Iterator[{words}]" if calling["stream"] else words
    )


_PLAIN = {"text": "str", "boolean": "bool", "file": "File", "image": "Image", "dataframe": "DataFrame"}
_OF_JSON = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "None"}


def _words(typed: Mapping[str, Any]) -> str:
    """`float32[n, 4]`, `list[str]`: for people, as an annotation."""
    kind = typed["kind"]
    if "items" in typed:
        return f"list[{_PLAIN.get(typed['items']['kind'], typed['items']['kind'])}]"
    if kind in ("array", "tensor"):
        dtype = typed.get("dtype") or "|".join(typed.get("dtypes", [])) or "array"
        shape = typed.get("shape")
        words = dtype if shape is None else f"{dtype}[{', '.join(map(str, shape))}]"
    elif kind in ("number", "json"):
        return _schema_words(typed["schema"])
    else:
        words = _PLAIN.get(kind, kind)
    return f"{words} | None" if typed.get("optional") else words


def _schema_words(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(map(_schema_words, schema["anyOf"])))
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_schema_words(schema['items'])}]" if isinstance(schema.get("items"), dict) else "list"
    return _OF_JSON.get(kind, "dict" if kind == "object" else "Any") if isinstance(kind, str) else "Any"
