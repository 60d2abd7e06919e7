"""Where requests wait: lanes in order of age, and ahead of them the batches that run once more."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from numpy import ndarray

from ..wire.values import pack
from . import rows
from .ragged import Ragged
from .request import NO_KWARGS, Batch, Lane, Method, Packed, Request, content


class WaitingRoom:
    __slots__ = ("_ages", "_lanes", "_numbers", "again", "fresh", "rows")

    def __init__(self) -> None:
        self._lanes: dict[Hashable, Lane] = {}
        self._ages: list[tuple[float, int, Lane]] = []
        self._numbers = itertools.count()  # tells equal arrival times apart
        self.again: deque[Batch] = deque()
        """Parts of failed batches, and requests whose worker died; they go before all lanes."""
        self.fresh: dict[Lane, None] = {}
        """Lanes about which the policy must be asked even though no worker is idle."""
        self.rows = 0

    def __bool__(self) -> bool:
        return bool(self._lanes or self.again)

    def lane(self, key: Hashable, method: Method, kwargs: Packed) -> Lane:
        """The lane with that key, or a new one; it is kept only once a request is added."""
        return self._lanes.get(key) or Lane(key, method, kwargs)

    def sort(
        self, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Lane, int, int, Ragged | None]:
        """(the lane that a call belongs to, its rows, its weight, itself when it is padded).

        Raises:
            UsageError: arguments that are no rows.
            WireError: constants that cannot travel.
        """
        if not method.spec.batch:
            return self.lane(method.name, method, NO_KWARGS), 1, 1, None
        count = rows.count(args)
        packed = pack(dict(sorted(kwargs.items()))) if kwargs else NO_KWARGS
        ragged = None if method.padding is None else method.padding.take(args, kwargs)
        shape = rows.shape_key(args) if ragged is None else ragged.key
        lane = self.lane((method.name, shape, content(packed)), method, packed)
        if method.cost is not None:
            return lane, count, method.cost(args, kwargs, count, ragged), ragged
        if ragged is None and not kwargs and len(args) == 1 and type(args[0]) is ndarray:
            method.last, lane.shape, lane.dtype = lane, args[0].shape, args[0].dtype
            lane.count, lane.weight = count, count or 1
        return lane, count, count or 1, ragged

    def add(self, request: Request) -> None:
        lane = request.lane
        lane.requests.append(request)
        lane.rows += request.rows
        self.rows += request.count or 1
        if len(lane.requests) == 1:
            lane.number = next(self._numbers)
            self._lanes[lane.key] = lane
            self.fresh[lane] = None
            self.put_back(lane)

    def oldest(self) -> Lane | None:
        """Takes the lane with the oldest head out of the order; `put_back` returns it."""
        while self._ages:
            arrival, _, lane = heapq.heappop(self._ages)
            lane.listed = False
            if not lane.requests:
                continue
            if lane.requests[0].arrival == arrival:
                return lane
            self.put_back(lane)  # its head left since: now it is younger
        return None

    def put_back(self, lane: Lane) -> None:
        if lane.requests and not lane.listed:
            lane.listed = True
            heapq.heappush(self._ages, (lane.requests[0].arrival, lane.number, lane))

    def take(self, lane: Lane, number: int) -> list[Request]:
        """The oldest requests of a lane, which leave it."""
        weight = lane.rows
        taken = lane.take(number)
        weighed = lane.method.cost is not None
        self.rows -= sum([request.size for request in taken]) if weighed else weight - lane.rows
        self._tidy(lane)
        return taken

    def remove(self, request: Request) -> bool:
        """A request leaves its lane; False when it does not wait there."""
        lane = request.lane
        if not lane.remove(request):
            return False
        self.rows -= request.size
        self._tidy(lane)
        return True

    def remove_again(self, request: Request) -> bool:
        """A request leaves the batch in which it was to run again; False when it is in none."""
        for batch in self.again:
            if request in batch.requests:
                batch.requests.remove(request)
                batch.count()
                self.rows -= request.size
                if not batch.requests:
                    self.again.remove(batch)
                return True
        return False

    def run_again(self, batches: Iterable[Batch]) -> None:
        """Puts batches ahead of everything, in the order given."""
        batches = list(batches)
        self.again.extendleft(reversed(batches))
        self.rows += sum(batch.rows for batch in batches)

    def take_again(self) -> Batch:
        batch = self.again.popleft()
        self.rows -= batch.rows
        return batch

    def lanes(self) -> Iterable[Lane]:
        return self._lanes.values()

    def requests(self) -> Iterator[Request]:
        for batch in self.again:
            yield from batch.requests
        for lane in self._lanes.values():
            yield from lane.requests

    def clear(self) -> list[Request]:
        """Empties the room."""
        all_requests = list(self.requests())
        self._lanes.clear()
        self._ages.clear()
        self.again.clear()
        self.fresh.clear()
        self.rows = 0
        return all_requests

    def _tidy(self, lane: Lane) -> None:
        if lane.requests:
            self.fresh[lane] = None
            return
        self.fresh.pop(lane, None)
        del self._lanes[lane.key]
        # Its entry in the order of age goes when its turn comes; cancelled lanes must not pile up till then.
        if len(self._ages) > 64 + 2 * len(self._lanes):
            self._ages = [entry for entry in self._ages if entry[2].requests]
            heapq.heapify(self._ages)
