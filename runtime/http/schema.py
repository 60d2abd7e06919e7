"""The OpenAPI document of the service, made when somebody first asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from ...errors import InvalidTagError
from ..tag import Tag

if TYPE_CHECKING:
    from .state import ServerState


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

        return openapi(self._state.info, version=_version(self._state.options.title))


def _version(title: str) -> str:
    """Of a bundle's tag; a service that is served as it stands (`service:Iris`) has none."""
    try:
        return Tag.parse(title).version if ":" in title else "0"
    except InvalidTagError:
        return "0"
