"""How long a caller waits, as the protocol's parameters say it."""

from __future__ import annotations

from typing import Any

from ....errors import InvalidInputError


def timeout_s(parameters: dict[str, Any]) -> float | None:
    """`timeout`, which is in microseconds; None: 0, or not there.

    Raises:
        InvalidInputError: no whole number, or below 0.
    """
    value = parameters.get("timeout", 0)
    if type(value) is not int or value < 0:
        raise InvalidInputError("timeout must be whole microseconds, 0 or more", path="$.parameters.timeout")
    return value / 1e6 if value else None
