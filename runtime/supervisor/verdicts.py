"""What the API processes of one generation found out about requests that end workers."""

from __future__ import annotations

from collections.abc import Iterator

from .control import Judged

MAX_VERDICTS = 1024
"""Of all runners; the oldest make room."""


class Verdicts:
    """Every API process is told, those that start later as well; the next generation begins anew."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, bytes], Judged] = {}

    def __iter__(self) -> Iterator[Judged]:
        return iter(self._found.values())

    def add(self, found: Judged) -> None:
        """The newest verdict on a request holds; one that clears it leaves nothing."""
        self._found.pop((found.runner, found.digest), None)
        if found.until:
            self._found[found.runner, found.digest] = found
            while len(self._found) > MAX_VERDICTS:
                del self._found[next(iter(self._found))]
