"""What the API processes of one generation found out about requests that end workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .control import Judged
from .process import Child
from .slot import Slot

MAX_VERDICTS = 1024
"""Of all runners; the oldest make room."""


class Verdicts:
    """Every API process is told, those that start later as well; the next generation begins anew."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, bytes], Judged] = {}

    def __iter__(self) -> Iterator[Judged]:
        return iter(self._found.values())

    def spread(self, found: Judged, judge: Child, apis: Iterable[Slot]) -> None:
        """Tells all but the process that found it, and keeps it; one that clears a request leaves nothing."""
        for api in apis:
            if api.child is not judge:
                api.send(found)
        self._found.pop((found.runner, found.digest), None)
        if found.until:
            self._found[found.runner, found.digest] = found
            while len(self._found) > MAX_VERDICTS:
                del self._found[next(iter(self._found))]
