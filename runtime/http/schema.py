"""The OpenAPI document of the service, made when somebody first asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import yaml

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

        version = self._state.options.title.partition(":")[2]
        return openapi(self._state.info, version=version or "0")
