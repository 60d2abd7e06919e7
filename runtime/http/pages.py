"""The pages that people read: their files, and the description that they show."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from ... import templates
from .problem import catalogue

if TYPE_CHECKING:
    from ..manifest import ApiSpec
    from .routes import RouteTable
    from .state import ServerState

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/pages/page.css": ("page.css", "text/css; charset=utf-8"),
    "/pages/element.js": ("element.js", "text/javascript; charset=utf-8"),
    "/pages/index.js": ("index.js", "text/javascript; charset=utf-8"),
    "/pages/form.js": ("form.js", "text/javascript; charset=utf-8"),
    "/pages/result.js": ("result.js", "text/javascript; charset=utf-8"),
    "/pages/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
}
"""Paths of the pages and what they load; nothing comes from another host."""
DESCRIPTION = "/pages/service.json"
"""JSON that the pages show."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def asset(path: str) -> tuple[bytes, str]:
    """Body and media type of one of `FILES`."""
    name, media_type = FILES[path]
    return _read(name), media_type


@lru_cache(maxsize=len(FILES))
def _read(name: str) -> bytes:
    return (files(templates) / "pages" / name).read_bytes()


def describe(state: ServerState, table: RouteTable, document: dict[str, Any]) -> bytes:
    """What the pages show: the service, its routes with an example of each, and the problems they answer.

    Args:
        document: OpenAPI, which has the examples.
    """
    shown: dict[str, Any] = {
        "title": state.options.title or state.spec.name,
        "name": state.spec.name,
        "doc": state.spec.doc,
        "apis": [_describe_api(spec, table, document) for spec in state.spec.apis],
        "problems": catalogue(),
    }
    return msgspec.json.encode(shown)


def _describe_api(spec: ApiSpec, table: RouteTable, document: dict[str, Any]) -> dict[str, Any]:
    route = table.by_path[spec.route.encode()]
    body = document["paths"][spec.route]["post"].get("requestBody", {})
    return {
        "name": spec.name,
        "route": spec.route,
        "doc": spec.doc,
        "inputs": {name: msgspec.to_builtins(each) for name, each in spec.inputs.items()},
        "defaults": spec.defaults,
        "output": msgspec.to_builtins(spec.output),
        "stream": spec.stream,
        "timeout_s": route.timeout_s,
        "max_body_bytes": route.max_body_bytes,
        "accepts": list(route.info.inputs.media_types),
        "returns": list(route.info.output.media_types),
        "example": body.get("content", {}).get("application/json", {}).get("example", {}),
    }
