"""NaN and infinity: JSON has no such numbers, so msgpack, forms and queries may not bring them either.

Arrays in binary form (npy, msgpack's compact form) may: their elements are what a model was trained with.
"""

from __future__ import annotations

import math
from typing import Any

from ...errors import InvalidInputError


def check_finite(value: Any, path: str) -> None:
    """Looks at every float in lists and maps.

    Args:
        value: as msgpack or text gave it.
        path: of the value, for the error.

    Raises:
        InvalidInputError: at the first that is NaN or infinite.
    """
    waiting = [(value, path)]
    while waiting:
        item, at = waiting.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                raise InvalidInputError(f"expected a finite number, got {item}", path=at)
        elif isinstance(item, list):
            waiting += [(inner, f"{at}[{i}]") for i, inner in enumerate(item) if type(inner) in _HOLDERS]
        elif isinstance(item, dict):
            waiting += [(inner, f"{at}.{name}") for name, inner in item.items() if type(inner) in _HOLDERS]


_HOLDERS = (float, list, dict)
