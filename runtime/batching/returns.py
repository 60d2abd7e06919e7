"""Learned returns: how soon callers that have their answer call again, and how many are still to come."""

from __future__ import annotations

from typing import NamedTuple

SHORTEST_S = 0.25e-3
DELAYS_S = tuple(SHORTEST_S * 2 ** (j / 2) for j in range(30))
"""0.25 ms to 5.8 s."""
DECAY = 0.9


class Expected(NamedTuple):
    """What is known of the callers that were answered last."""

    wait_s: float
    """From now."""
    rows: float
    """That come back within the wait."""


class Returns:
    """Counts arrivals within each of `DELAYS_S` after an answer, and compares them with the usual rate.

    One window is open at a time: from an answer until the next one, or until the longest delay has passed.
    """

    __slots__ = ("_answered", "_counts", "_full", "_open_s", "_since", "_usual_rows", "_usual_s", "arrived")

    def __init__(self) -> None:
        size = len(DELAYS_S)
        self._since = 0.0
        """Time of the last answer."""
        self._open_s = 0.0
        """Longest delay that is watched; 0: none."""
        self._answered = 0.0
        self.arrived = 0.0
        """Rows since the last answer."""
        self._counts: list[float] = []
        self._full = [(0.0, 0.0, 0.0)] * size
        """Decayed (rows that arrived, rows answered, windows) of the windows that reached each delay."""
        self._usual_rows = 0.0
        self._usual_s = 0.0

    @property
    def rate(self) -> float:
        """Rows a second that arrive, lately."""
        return self._usual_rows / self._usual_s if self._usual_s > 0 else 0.0

    def on_arrival(self, now: float, rows: float) -> None:
        self.arrived += rows
        past = now - self._since
        if past <= self._open_s:
            self._counts.append(past)
            self._counts.append(rows)

    def on_answer(self, now: float, rows: float, longest_s: float) -> None:
        """A batch came back; `longest_s` is the longest delay worth watching after it."""
        past = now - self._since
        if past < SHORTEST_S and self._answered:  # workers that end together are one answer
            self._answered += rows
            return
        self._close(past)
        self._usual_rows = self._usual_rows * DECAY + self.arrived
        self._usual_s = self._usual_s * DECAY + past
        self._since, self._open_s, self._answered = now, longest_s, rows
        self.arrived = 0.0

    def _close(self, past: float) -> None:
        """The window ends: what it saw is learned, for the delays it reached."""
        reached = min(past, self._open_s)
        counts, self._counts = self._counts, []
        total, place = 0.0, 0
        for j, delay in enumerate(DELAYS_S):
            if delay > reached:
                break
            while place < len(counts) and counts[place] <= delay:
                total += counts[place + 1]
                place += 2
            came, answered, windows = self._full[j]
            self._full[j] = (came * DECAY + total, answered * DECAY + self._answered, windows * DECAY + 1)

    def expected(self, now: float) -> list[Expected]:
        """Delays by which more callers than usual come back; empty when answers bring no callers."""
        past = now - self._since
        if past > self._open_s:
            return []
        rate, answered = self.rate, self._answered
        found: list[Expected] = []
        for j, delay in enumerate(DELAYS_S):
            if delay > self._open_s:
                break
            if delay <= past:
                continue
            came, asked, windows = self._full[j]
            if asked <= 0:
                break
            if _stands_out(came, rate * delay * windows):
                found.append(Expected(delay - past, max(0.0, came / asked * answered - self.arrived)))
        return found

    def table(self) -> list[tuple[float, float]]:
        """(delay, arrivals within it for each row answered) of the delays that stand out."""
        rate = self.rate
        return [
            (delay, came / asked)
            for delay, (came, asked, windows) in zip(DELAYS_S, self._full, strict=True)
            if asked > 0 and _stands_out(came, rate * delay * windows)
        ]


def _stands_out(came: float, usual: float) -> bool:
    return came > 1.5 * usual and (came - usual) ** 2 > 9 * (usual + 0.25)
