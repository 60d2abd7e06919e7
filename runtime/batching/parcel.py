"""A batch as it is handed to the connection: rows put together, deadlines as remaining times."""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

from ..wire.values import pack
from . import rows
from .request import NO_KWARGS, Batch, Packed


class Parcel(NamedTuple):
    """A batch on its way to a worker."""

    batch: int
    method: str
    args: tuple[Any, ...]
    kwargs: Packed
    counts: list[int]
    """Rows of each request; empty for a method that takes no batches."""
    remaining_s: list[float]
    """Seconds until each request's deadline; empty when none has one."""
    alone: bool
    """The worker must not put it together with the batches of others."""
    weight: int = 0
    """Of all rows, for a method with a `cost`."""


def parcel_of(batch: Batch, now: float) -> Parcel:
    """Puts the rows of a batch together.

    Raises:
        WireError: the constants of a call cannot be sent.
        Exception: whatever numpy, torch or pandas say of rows that they cannot put together.
    """
    requests, method = batch.requests, batch.lane.method
    remaining = [request.deadline - now for request in requests]
    if all(seconds == inf for seconds in remaining):
        remaining = []
    if method.spec.batch:
        calls = [request.args for request in requests]
        args = rows.join(calls) if method.padding is None else method.padding.join(calls)
        kwargs = batch.lane.kwargs
        counts = [request.count for request in requests]
    else:
        args, named = requests[0].args
        kwargs, counts = pack(named) if named else NO_KWARGS, []
    weight = 0 if method.cost is None else batch.weight
    return Parcel(batch.number, method.name, args, kwargs, counts, remaining, batch.alone, weight)
