"""The OpenAPI document of the service, made when somebody first asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from ...errors import InvalidTagError
from ..tag import Tag
from .problem import MEDIA_TYPE as PROBLEM

if TYPE_CHECKING:
    from .state import ServerState


_REFUSALS = {"401": "No token, or not a good one", "403": "The token lacks the scope `predict`"}


class Schema:
    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._json: bytes | None = None
        self._yaml: bytes | None = None

    def json(self) -> bytes:
        if self._json is None:
            self._json = msgspec.json.encode(self.document())
        return self._json

    def yaml(self) -> bytes:
        if self._yaml is None:
            self._yaml = yaml.safe_dump(self.document(), sort_keys=False, allow_unicode=True).encode()
        return self._yaml

    def document(self) -> dict[str, Any]:
        """As builtins."""
        from ..schema.openapi import openapi

        options = self._state.options
        document = openapi(self._state.info, version=_version(options.title))
        if options.path_prefix:
            document["servers"] = [{"url": options.path_prefix}]
        if options.auth_file or options.auth_tokens:
            _ask_for_tokens(document)
        return document


def _ask_for_tokens(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"] |= {
                status: {
                    "description": description,
                    "headers": {"WWW-Authenticate": {"schema": {"type": "string"}}},
                    "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status, description in _REFUSALS.items()
            }


def _version(title: str) -> str:
    """Of a bundle's tag; a service that is served as it stands (`service:Iris`) has none."""
    try:
        return Tag.parse(title).version if ":" in title else "0"
    except InvalidTagError:
        return "0"
