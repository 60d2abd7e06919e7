"""Paths that belong to the server: what it serves itself, and trees kept for protocols to come."""

from __future__ import annotations

PATHS = (
    "/",
    "/docs",
    "/schema",
    "/schema.yaml",
    "/livez",
    "/readyz",
    "/healthz",
    "/metrics",
    "/debug/batching",
)
"""Routes that every server has, besides what the pages load from `PAGES`."""
PAGES = "/pages"
"""Below it lies what the pages load."""
TREES = ("/v1", "/v2", "/debug", "/docs", "/schema", PAGES)
"""No api may have such a path, nor one below it."""


def is_reserved(route: str) -> bool:
    return route in PATHS or any(route == tree or route.startswith(f"{tree}/") for tree in TREES)
