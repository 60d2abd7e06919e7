"""What seems to be a secret among what routes answer: it is neither kept nor printed."""

from __future__ import annotations

import os
import re

import msgspec

from ..secrets_scan import secret_in
from .route_result import RouteResult

_NAME = re.compile(r"(?i)key|token|secret|passw|pwd|credential")
"""Of a variable whose value nobody should read."""
_SHORTEST = 8
"""Characters; shorter ones are found anywhere."""
_INSTEAD = "(not shown: it seems to hold a secret)"


def seems_secret(text: str) -> bool:
    """Whether it looks like a secret, or has one of this environment in it."""
    values = [value for name, value in os.environ.items() if len(value) >= _SHORTEST and _NAME.search(name)]
    return secret_in("", text.encode()) is not None or any(value in text for value in values)


def without_secrets(route: RouteResult) -> RouteResult:
    """The same for people and logs."""

    def told(text: str) -> str:
        return _INSTEAD if seems_secret(text) else text

    return msgspec.structs.replace(
        route,
        differences=[(path, told(text)) for path, text in route.differences],
        error=told(route.error),
        untried=told(route.untried),
    )
