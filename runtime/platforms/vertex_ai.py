"""Google Vertex AI: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements

It says in variables which port it asks, and under which paths. `rawPredict` comes on the same path as
`predict`, with a body of any kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import ConfigError
from .platform import Platform, Routes

HEALTH, PREDICT = "AIP_HEALTH_ROUTE", "AIP_PREDICT_ROUTE"


@dataclass(frozen=True)
class VertexAI(Platform):
    def routes(self, environ: Mapping[str, str]) -> Routes:
        """
        Raises:
            ConfigError: a variable that is no path.
        """
        return Routes(health=_path(environ, HEALTH), instances=_path(environ, PREDICT))


def _path(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    path = environ.get(name, "")
    if path and (not path.startswith("/") or not path.isascii() or set(path) & set("?# ")):
        raise ConfigError(f"{name}={path!r} is no path: it starts with / and has no query")
    return (path,) if path else ()


PLATFORM = VertexAI(
    name="vertex-ai",
    title="Vertex AI",
    signs=("AIP_HTTP_PORT", "AIP_PREDICT_ROUTE", "AIP_HEALTH_ROUTE"),
    port_variables=("AIP_HTTP_PORT",),
    port=8080,
)
