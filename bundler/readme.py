"""A bundle's `README.md`, written from docstrings and types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..runtime.manifest import ModelInfo, ServiceSpec
from .rendering import environment
from .words import batch_words, type_words

TEMPLATE = "bundle/README.md.j2"


def render_readme(
    service: ServiceSpec, models: Sequence[ModelInfo], *, description: str, openapi: dict[str, Any]
) -> str:
    """The same inputs give the same text: no time, no host, no version of the bundle.

    Args:
        service: routes and runners.
        models: the bundle's models.
        description: of the bundlefile.
        openapi: the document of the service; its examples become `curl` lines.
    """
    made = environment({"words": type_words, "cell": _cell, "json": _json})
    made.globals["batch_words"] = batch_words
    return made.get_template(TEMPLATE).render(
        service=service, models=models, description=description, examples=_examples(openapi)
    )


def _examples(openapi: dict[str, Any]) -> dict[str, Any]:
    """Route to a JSON request, for those that have one."""
    found = {}
    for route, methods in openapi.get("paths", {}).items():
        body = methods.get("post", {}).get("requestBody", {})
        media = body.get("content", {}).get("application/json", {})
        if "example" in media:
            found[route] = media["example"]
    return found


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
