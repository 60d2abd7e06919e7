"""Learned returns: how soon callers that have their answer call again, and how many are still to come."""

from __future__ import annotations

from bisect import bisect_right

SHORTEST_S = 0.25e-3
DELAYS_S = tuple(SHORTEST_S * 2 ** (j / 2) for j in range(30))
"""0.25 ms to 5.8 s."""
DECAY = 0.9
SLOW_DECAY = 0.98


class Returns:
    """Counts arrivals within each of `DELAYS_S` after an answer, and compares them with the usual rate.

    One window is open at a time: from an answer until the next one, or until the longest delay has passed.
    Arrivals are only noted; they are counted once an answer.
    """

    __slots__ = (
        "_answered",
        "_asked",
        "_came",
        "_long_rows",
        "_long_s",
        "_open_s",
        "_since",
        "_standing",
        "_usual_rows",
        "_usual_s",
        "_windows",
        "arrived",
        "rate",
        "steady_rate",
        "times",
        "totals",
        "until",
    )

    def __init__(self) -> None:
        self._since = 0.0
        """Time of the last answer."""
        self._open_s = 0.0
        """Longest delay that is watched; 0: none."""
        self.until = 0.0
        """When that delay has passed: later arrivals are not noted one by one."""
        self._answered = 0.0
        self.arrived = 0.0
        """Rows since the last answer."""
        self.times: list[float] = []
        """Arrivals of the open window."""
        self.totals: list[float] = []
        """`arrived` after each of them."""
        # Decayed (rows that arrived, rows answered, windows) of the windows that reached each delay so far.
        self._came: list[float] = []
        self._asked: list[float] = []
        self._windows: list[float] = []
        self._usual_rows = 0.0
        self._usual_s = 0.0
        self.rate = 0.0
        """Rows a second that arrive, lately."""
        self._long_rows = 0.0
        self._long_s = 0.0
        self.steady_rate = 0.0
        """The same over five times as many answers: bursts and lulls even out."""
        self._standing: list[tuple[float, float]] | None = None
        """`table()` of the open window, once somebody asked."""

    def on_arrival(self, now: float, rows: float) -> None:
        self.arrived += rows
        if now <= self.until:
            self.times.append(now)
            self.totals.append(self.arrived)

    def on_answer(self, now: float, rows: float, longest_s: float) -> None:
        """A batch came back; `longest_s` is the longest delay worth watching after it."""
        past = now - self._since
        if past < SHORTEST_S and self._answered:  # workers that end together are one answer
            self._answered += rows
            return
        self._close(min(past, self._open_s))
        self._usual_rows = self._usual_rows * DECAY + self.arrived
        self._usual_s = self._usual_s * DECAY + past
        self.rate = self._usual_rows / self._usual_s if self._usual_s > 0 else 0.0
        self._long_rows = self._long_rows * SLOW_DECAY + self.arrived
        self._long_s = self._long_s * SLOW_DECAY + past
        self.steady_rate = self._long_rows / self._long_s if self._long_s > 0 else 0.0
        self._since, self._open_s, self._answered = now, longest_s, rows
        self.until = now + longest_s if longest_s >= SHORTEST_S else now
        self.arrived = 0.0

    def _close(self, reached_s: float) -> None:
        """The window ends: what it saw is learned, for the delays it reached."""
        self._standing = None
        times, totals, since = self.times, self.totals, self._since
        came, asked, windows, answered = self._came, self._asked, self._windows, self._answered
        for j in range(bisect_right(DELAYS_S, reached_s)):
            place = bisect_right(times, since + DELAYS_S[j])
            total = totals[place - 1] if place else 0.0
            if j == len(came):
                came.append(0.0)
                asked.append(0.0)
                windows.append(0.0)
            came[j] = came[j] * DECAY + total
            asked[j] = asked[j] * DECAY + answered
            windows[j] = windows[j] * DECAY + 1
        if times:
            times.clear()
            totals.clear()

    def expected(self, now: float) -> tuple[float, list[tuple[float, float]]]:
        """(seconds since the last answer, what is known of the callers that were answered then).

        The list holds delays after that answer, those that are over left out, and how many rows are still to
        come until then; it is empty when answers bring no callers.
        """
        past = now - self._since
        if past > self._open_s or not self._came:
            return past, []
        standing = self._standing
        if standing is None:
            open_s = self._open_s
            standing = self._standing = [pair for pair in self.table() if pair[0] <= open_s]
        if not standing:
            return past, standing
        answered, arrived = self._answered, self.arrived
        return past, [
            (delay, max(0.0, share * answered - arrived)) for delay, share in standing if delay > past
        ]

    def table(self) -> list[tuple[float, float]]:
        """(delay, arrivals within it for each row answered) of the delays by which more than usual came."""
        rate, found = self.rate, []
        for delay, came, asked, windows in zip(
            DELAYS_S, self._came, self._asked, self._windows, strict=False
        ):
            usual = rate * delay * windows
            if came > 1.5 * usual and (came - usual) ** 2 > 9 * (usual + 0.25) and asked > 0:
                found.append((delay, came / asked))
        return found
