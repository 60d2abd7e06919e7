"""Where requests wait: lanes in order of age, and ahead of them the batches that run once more."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable, Iterable, Iterator

from .request import AGAIN, Batch, Lane, Method, Packed, Request


class WaitingRoom:
    __slots__ = ("_ages", "_lanes", "again", "fresh", "rows")

    def __init__(self) -> None:
        self._lanes: dict[Hashable, Lane] = {}
        self._ages: list[tuple[float, int, Lane]] = []
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

    def add(self, request: Request) -> None:
        lane = request.lane
        lane.append(request)
        self.rows += request.size
        if len(lane.requests) == 1:
            self._lanes[lane.key] = lane
            self.fresh[lane] = None
            self.put_back(lane)

    def oldest(self) -> Lane | None:
        """Takes the lane with the oldest head out of the order; `put_back` returns it."""
        while self._ages:
            _, number, lane = heapq.heappop(self._ages)
            lane.listed = False
            if not lane.requests:
                continue
            if lane.requests[0].number == number:
                return lane
            self.put_back(lane)  # its head left since: now it is younger
        return None

    def put_back(self, lane: Lane) -> None:
        if lane.requests and not lane.listed:
            lane.listed = True
            heapq.heappush(self._ages, (lane.requests[0].arrival, lane.requests[0].number, lane))

    def take(self, lane: Lane, number: int) -> list[Request]:
        """The oldest requests of a lane, which leave it."""
        taken = [lane.popleft() for _ in range(number)]
        self.rows -= sum(request.size for request in taken)
        self._tidy(lane)
        return taken

    def remove(self, request: Request) -> None:
        """A request leaves its lane, or the batch in which it was to run again."""
        self.rows -= request.size
        if request.state == AGAIN and request.batch is not None:
            request.batch.requests.remove(request)
            if not request.batch.requests:
                self.again.remove(request.batch)
        else:
            request.lane.remove(request)
            self._tidy(request.lane)

    def run_again(self, batches: Iterable[Batch]) -> None:
        """Puts batches ahead of everything, in the order given."""
        batches = list(batches)
        self.again.extendleft(reversed(batches))
        for batch in batches:
            for request in batch.requests:
                request.state, request.batch = AGAIN, batch
            self.rows += batch.rows

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
