"""A batch as it is handed to the connection: rows still where they lie, deadlines as remaining times."""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

from ..wire import plain
from ..wire.frame import Part
from ..wire.values import pack
from . import rows
from .request import NO_KWARGS, Batch, Packed


class Parcel(NamedTuple):
    """A batch on its way to a worker."""

    batch: int
    method: str
    calls: list[tuple[Any, ...]]
    """Positional arguments of each request; they may be put together on axis 0."""
    kwargs: Packed
    counts: list[int]
    """Rows of each request; empty for a method that takes no batches."""
    remaining_s: list[float]
    """Seconds until each request's deadline; empty when none has one."""
    alone: bool
    """The worker must not put it together with the batches of others."""
    weight: int = 0
    """Of all rows, for a method with a `cost`."""

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments of all requests, put together.

        Raises:
            Exception: whatever numpy, torch or pandas say of rows that they cannot put together.
        """
        return rows.join(self.calls)

    def pack(self) -> tuple[bytes, list[Part]]:
        """`wire.values.pack` of `args`, behind the buffers of the keyword arguments; arrays are never joined.

        Raises:
            WireError: a type that cannot travel.
            Exception: as for `args`.
        """
        if len(self.calls) > 1:
            parts: list[Part] = [*self.kwargs[1]]
            description = plain.pack_rows(self.calls, sum(self.counts), parts)
            if description is not None:
                return description, parts
        description, buffers = pack(self.args, [*self.kwargs[1]])
        return description, [*buffers]


def parcel_of(batch: Batch, now: float) -> Parcel:
    """What is sent for a batch.

    Raises:
        WireError: the constants of a call cannot be sent.
    """
    requests, method = batch.requests, batch.lane.method
    remaining = [request.deadline for request in requests]
    remaining = [] if min(remaining) == inf else [deadline - now for deadline in remaining]
    if method.spec.batch:
        kwargs = batch.lane.kwargs
        if method.padding is not None:
            calls = [method.padding.join([request.ragged for request in requests])]
        else:
            calls = [request.args for request in requests]
        counts = [request.count for request in requests]
    else:
        named = dict(requests[0].kwargs)
        calls, kwargs, counts = [requests[0].args], pack(named) if named else NO_KWARGS, []
    weight = 0 if method.cost is None else batch.weight
    return Parcel(batch.number, method.name, calls, kwargs, counts, remaining, batch.alone, weight)
