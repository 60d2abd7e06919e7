"""Jinja over the room `templates/`, as all text is rendered: strict about names, lines without leftovers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def environment(filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """Nothing is escaped: it is for code, Markdown and configuration, never for HTML.

    Args:
        filters: by name, besides Jinja's own; a text from elsewhere goes through one of them.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader(__name__.partition(".")[0], "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no HTML
    )
    made.filters |= filters
    return made
