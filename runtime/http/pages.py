"""The pages that people read: their files, and the description that they show."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import NotFoundRouteError

if TYPE_CHECKING:
    from .state import ServerState

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/pages/page.css": ("page.css", "text/css; charset=utf-8"),
    "/pages/element.js": ("element.js", "text/javascript; charset=utf-8"),
    "/pages/index.js": ("index.js", "text/javascript; charset=utf-8"),
    "/pages/form.js": ("form.js", "text/javascript; charset=utf-8"),
    "/pages/result.js": ("result.js", "text/javascript; charset=utf-8"),
    "/pages/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
}
DESCRIPTION = "/pages/service.json"
ASSETS = (*_FILES, DESCRIPTION)
"""Paths of the pages and what they load; nothing comes from another host."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def asset(path: str, state: ServerState) -> tuple[bytes, str]:
    """Body and media type of one of `ASSETS`."""
    if path == DESCRIPTION:
        return describe(state), "application/json"
    if path not in _FILES:
        raise NotFoundRouteError(f"no page {path!r}")
    name, media_type = _FILES[path]
    return _read(name), media_type


@lru_cache(maxsize=len(_FILES))
def _read(name: str) -> bytes:
    return (files("tiffin.templates") / "pages" / name).read_bytes()


def describe(state: ServerState) -> bytes:
    """What the pages show: the service and its routes, with the media types each of them reads and writes."""
    document: dict[str, Any] = {
        "title": state.options.title or state.spec.name,
        "name": state.spec.name,
        "doc": state.spec.doc,
        "apis": [
            {
                **msgspec.to_builtins(spec),
                "accepts": list(state.info.apis[spec.name].inputs.media_types),
                "returns": list(state.info.apis[spec.name].output.media_types),
            }
            for spec in state.spec.apis
        ],
    }
    return msgspec.json.encode(document)
