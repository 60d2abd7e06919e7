"""How many workers, and how much of a GPU each: as a service says it, and as a person types it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError, ServiceDefinitionError
from ..manifest import WorkerRange
from .options import AUTO, MAX_PROCESSES, nearest, whole, whole_or_auto

MAX_GPUS = 64
MIN_SHARE = 0.01
"""The smallest share: a hundred workers on a device."""
_BETWEEN = ".."


def worker_numbers(where: str, workers: Any) -> int | str | WorkerRange:
    """Checks `workers=`.

    Raises:
        ServiceDefinitionError: neither a number, nor `auto`, nor a map of `min` and `max`.
    """
    if not isinstance(workers, Mapping):
        return whole_or_auto(where, "workers", workers, MAX_PROCESSES)
    for key in workers:
        if key not in ("min", "max"):
            raise ServiceDefinitionError(
                f"{where}: unknown key {key!r} in workers{nearest(str(key), ('min', 'max'))}; "
                'write workers={"min": 1, "max": 4}'
            )
    if "max" not in workers:
        raise ServiceDefinitionError(
            f'{where}: workers={workers!r} has no "max"; write {{"min": 1, "max": 4}}'
        )
    least = whole(where, "workers min", workers.get("min", 1), 1, MAX_PROCESSES)
    most = whole_or_auto(where, "workers max", workers["max"], MAX_PROCESSES)
    if isinstance(most, int) and most < least:
        raise ServiceDefinitionError(f"{where}: workers max={most} is below min={least}; swap them")
    return WorkerRange(min=least, max=most)


def gpu_share(where: str, gpus: Any) -> float:
    """Checks `gpus=`.

    Raises:
        ServiceDefinitionError: neither whole devices nor a share of one.
    """
    number = isinstance(gpus, (int, float)) and not isinstance(gpus, bool) and math.isfinite(gpus)
    if not number or (not (gpus == int(gpus) and 0 <= gpus <= MAX_GPUS) and not MIN_SHARE <= gpus < 1):
        raise ServiceDefinitionError(
            f"{where}: gpus={gpus!r} cannot be given; use whole devices from 0 to {MAX_GPUS}, "
            f"or a share of one from {MIN_SHARE:g} to below 1"
        )
    return int(gpus) if gpus == int(gpus) else float(gpus)


def parse_workers(text: str) -> int | str | WorkerRange:
    """What a person types: `4`, `auto`, `1..4`, `1..auto`.

    Raises:
        ConfigError: anything else.
    """
    low, between, high = text.partition(_BETWEEN)
    if not between and (text == AUTO or _is_number(text)):
        return AUTO if text == AUTO else int(text)
    if between and _is_number(low) and (high == AUTO or (_is_number(high) and int(high) >= int(low))):
        return WorkerRange(min=int(low), max=AUTO if high == AUTO else int(high))
    raise ConfigError(
        f"{text!r} is no number of workers: use 1 to {MAX_PROCESSES}, {AUTO!r}, or a range: 1{_BETWEEN}4"
    )


def workers_words(workers: int | str | WorkerRange) -> str:
    """The inverse of `parse_workers`."""
    return f"{workers.min}{_BETWEEN}{workers.max}" if isinstance(workers, WorkerRange) else str(workers)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_PROCESSES
