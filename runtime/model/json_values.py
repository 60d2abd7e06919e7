"""What a manifest can hold."""

from __future__ import annotations

from typing import Any

import msgspec


def is_json(value: Any) -> bool:
    """Whether JSON holds it: numbers, texts, lists and dicts."""
    try:
        msgspec.json.encode(value)
    except (TypeError, UnicodeEncodeError, RecursionError):
        return False
    return True
