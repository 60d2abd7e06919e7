"""Values that a manifest can hold."""

from __future__ import annotations

from typing import Any

import msgspec


def is_plain(value: Any) -> bool:
    """Whether JSON can hold it."""
    try:
        msgspec.json.encode(value)
    except TypeError:
        return False
    return True
