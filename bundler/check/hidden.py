"""What seems to be a secret among what routes answer: it is neither kept nor printed."""

from __future__ import annotations

import json
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
    """Whether it looks like a secret, or has one of this environment in it, or the beginning of one where it
    is cut short by `…`."""
    values = [value for name, value in os.environ.items() if len(value) >= _SHORTEST and _NAME.search(name)]
    return secret_in("", text.encode()) is not None or any(
        _is_in(text, spelling) for value in values for spelling in _spellings(value)
    )


def _spellings(value: str) -> set[str]:
    """As itself, and inside quotes, of JSON and of Python."""
    quoted = (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value))
    return {value, *(each[1:-1] for each in quoted)}


def _is_in(text: str, secret: str) -> bool:
    cut = text.split("…")[:-1]
    return secret in text or any(
        shown.endswith(secret[:length]) for shown in cut for length in range(_SHORTEST, len(secret))
    )


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
