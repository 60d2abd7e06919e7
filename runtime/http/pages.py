"""The pages that people read: their files, and the description that they show."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ... import templates
from .problem import catalogue

if TYPE_CHECKING:
    from ..manifest import ApiSpec
    from .routes import RouteTable
    from .state import ServerState

BATCHING = "/debug/batching"
"""Explains the batches: JSON, and a page for browsers."""


class Page(NamedTuple):
    """One page; all share `page.html`, and their scripts fill it."""

    link: str
    """What the navigation calls it."""
    script: str
    source: str
    """Where a browser without JavaScript finds the same."""
    source_note: str = ""


PAGES = {
    "/": Page("Try it", "index.js", "schema"),
    "/docs": Page("Reference", "docs.js", "schema"),
    BATCHING: Page("Batching", "batching.js", "debug/batching", " for a client that asks for JSON"),
}
PAGE = "text/html; charset=utf-8"
LINKS = (
    *((path, page.link) for path, page in PAGES.items()),
    ("/schema", "OpenAPI"),
    ("/metrics", "Metrics"),
)
"""The navigation of every page."""
FILES = {
    "/pages/page.css": "text/css; charset=utf-8",
    "/pages/element.js": "text/javascript; charset=utf-8",
    "/pages/index.js": "text/javascript; charset=utf-8",
    "/pages/form.js": "text/javascript; charset=utf-8",
    "/pages/result.js": "text/javascript; charset=utf-8",
    "/pages/docs.js": "text/javascript; charset=utf-8",
    "/pages/batching.js": "text/javascript; charset=utf-8",
    "/pages/token.js": "text/javascript; charset=utf-8",
    "/pages/plot.js": "text/javascript; charset=utf-8",
}
"""What the pages load; nothing comes from another host."""
DESCRIPTION = "/pages/service.json"
"""JSON that the pages show."""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@lru_cache(maxsize=len(PAGES))
def page(path: str) -> bytes:
    """The HTML of one of `PAGES`; its links are relative, so that a proxy may serve it below a prefix."""
    shown = PAGES[path]
    root = "../" * (path.count("/") - 1)
    links = []
    for target, name in LINKS:
        current = ' aria-current="page"' if target == path else ""
        links.append(f'<a href="{root + target[1:] or "./"}"{current}>{name}</a>')
    frame = Template(_read("page.html").decode("utf-8"))
    return frame.substitute(shown._asdict(), root=root, links="\n".join(links)).encode("utf-8")


def asset(path: str) -> tuple[bytes, str]:
    """Body and media type of one of `FILES`."""
    return _read(path.rpartition("/")[2]), FILES[path]


@lru_cache(maxsize=len(FILES) + 1)
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
        "mounts": [f"{path}/" for path in state.spec.mounts.values()],
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
