"""The checks of what a user may write between the brackets of a decorator or of `runner()`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from ...errors import ServiceDefinitionError

DAY_S = 86_400.0
"""Longest time-out: one day. A longer call is a job, not a request."""
MAX_BODY_BYTES = 64 * 1024**3
"""Largest body limit: 64 GiB."""
MAX_PROCESSES = 1024
"""Most API processes, and most workers a runner."""
MAX_ROWS = 1_000_000
"""Largest batch."""
AUTO = "auto"


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'route'?`, or nothing when none is near."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def refuse_unknown(where: str, unknown: Iterable[str], known: Iterable[str]) -> None:
    """Raises ServiceDefinitionError on the first option that does not exist."""
    known = list(known)
    for name in unknown:
        raise ServiceDefinitionError(
            f"{where}: unknown option {name!r}{nearest(name, known)} (options: {', '.join(known)})"
        )


def whole(where: str, option: str, value: Any, low: int, high: int) -> int:
    """A whole number from low to high, both allowed."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ServiceDefinitionError(
            f"{where}: {option}={value!r} is out of range; use a whole number from {low} to {high}"
        )
    return value


def whole_or_auto(where: str, option: str, value: Any, high: int) -> int | str:
    if isinstance(value, str):
        if value == AUTO:
            return value
        raise ServiceDefinitionError(
            f"{where}: {option}={value!r} is not known; use a whole number from 1 to {high}, or {AUTO!r}"
        )
    return whole(where, option, value, 1, high)


def flag(where: str, option: str, value: object) -> bool:
    """True or False, and nothing that only counts as one."""
    if not isinstance(value, bool):
        raise ServiceDefinitionError(f"{where}: {option}={value!r} is no choice; use True or False")
    return value


def number(where: str, option: str, value: Any, high: float, unit: str) -> float:
    """A number above 0 and up to high."""
    bad_type = isinstance(value, bool) or not isinstance(value, (int, float))
    if bad_type or not math.isfinite(value) or not 0 < value <= high:
        raise ServiceDefinitionError(
            f"{where}: {option}={value!r} is out of range; use a number of {unit} above 0 and up to {high:g}"
        )
    return float(value)
