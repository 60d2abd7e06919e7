"""Groups of callers: one is computed while the answers and the next calls of another are on their way.

Callers that wait for their answer and ask again may all share one batch, and the worker has nothing to do
until they are back. Or they come in two batches, and it computes one while the callers of the other return.
Which does more depends on how long returning takes, for few and for many; so it is tried, and measured.
"""

from __future__ import annotations

from math import ceil, inf

from .service_times import ServiceTimes

FEWEST = 8
"""Callers below which nothing is tried, and rows a group below which it is not made smaller: 4."""
WATCHED = 4
"""Batches of which in one all callers were there, at work or waiting."""
STEADY = 4
"""As many times in a row that must have been as many callers."""
SAME = 1.1
"""So many times as many are still the same callers; fewer are seen where groups overlap."""
GONE = 0.6
"""With less than that part of them, they are others."""
PROMISE = 0.9
"""Groups are tried when a round might take less than that part of the time that it takes now."""
BETTER = 1.05
"""What replaces another must do that many times as much,"""
COMPARISONS = 3
"""and more in each of so many comparisons."""
ROUNDS = 8
"""Of all callers, in each half of a comparison."""
SETTLING = 2
"""Of all callers, before a change shows."""
SOON = 16
"""Rounds until it is looked again whether something is worth trying."""
REST = 64
"""Rounds between trials; twice as many after each that changed nothing,"""
LONGEST_REST = 1024
"""and so many at most: how soon callers return may change any day."""


class Groups:
    """Finds the size of batches by which the callers of a closed loop are served fastest.

    Args:
        times: of batches, as learned.
    """

    def __init__(self, times: ServiceTimes) -> None:
        self._times = times
        self.size = inf
        """Rows of a group; `inf`: callers are not grouped."""
        self.number = 0
        """Groups that proved best; 0: none."""
        self._callers = 0.0
        """Rows at work or waiting when all are there; 0: not always the same."""
        self._peak = self._likely = 0.0
        self._batches = self._alike = 0
        self._begin()

    def _begin(self) -> None:
        self.size, self.number = inf, 0
        self._answered = 0.0
        self._due = 0.0
        """Rows answered when something is to be done."""
        self._since: tuple[float, float] | None = None
        """Rows answered and the time when measuring began; None: it has not."""
        self._tried = 0
        """Groups that are compared with `number`."""
        self._rates: list[float] = []
        """Rows a second of this trial, in turns by `number` and by `_tried` groups."""
        self._fewer = False
        """Whether fewer groups are tried next."""
        self._rest = REST

    def on_complete(self, now: float, rows: float, present: float, cap: float, workers: int) -> None:
        """A batch came back.

        Args:
            rows: of that batch.
            present: rows that waited or were computed until now, these included.
            cap: most rows worth sending at once.
            workers: that are up.
        """
        if not self._same_callers(present):
            return
        self._answered += rows
        if self._answered < self._due:
            return
        if self._since is None:
            self._since = self._answered, now
            self._due = self._answered + ROUNDS * self._callers
            return
        before, began = self._since
        self._since = None
        if now > began:
            self._measured((self._answered - before) / (now - began), cap, max(1, workers))

    def _same_callers(self, present: float) -> bool:
        """Whether it is known how many callers there are, always the same."""
        self._peak = max(self._peak, present)
        self._batches += 1
        if self._batches < WATCHED:
            return self._callers > 0
        peak, self._peak, self._batches = self._peak, 0.0, 0
        callers = self._callers
        if callers:
            if callers * GONE <= peak <= callers * SAME:
                return True
            self._callers = 0.0
            self._begin()
        if self._likely and self._likely / SAME <= peak <= self._likely * SAME:
            self._alike += 1
            self._likely = max(self._likely, peak)
            if self._alike >= STEADY and peak >= FEWEST:
                self._callers = self._likely
        else:
            self._alike, self._likely = 1, peak
        return False

    def _measured(self, rate: float, cap: float, workers: int) -> None:
        if not self._rates:
            other = self._other(self._callers / rate, cap, workers)
            if other is None:
                # Fewer may be better later: larger batches are not known while none are sent.
                self._fewer = self.number > 0
                self._settle(self.number, self._rest if self.number else SOON)
                return
            self._tried = other
        self._rates.append(rate)
        tried = len(self._rates)
        if tried % 2:
            self._settle(self._tried, SETTLING)
            return
        gains = [new / old for old, new in zip(self._rates[::2], self._rates[1::2], strict=True)]
        if min(gains) > 1 and len(gains) < COMPARISONS:
            self._settle(self.number, SETTLING)
            return
        self._rates = []
        if min(gains) > 1 and sum(gains) > BETTER * COMPARISONS:
            self._rest, self._fewer = REST, self._tried < self.number
            self.number = self._tried
            self._settle(self.number, SETTLING)
        else:
            self._settle(self.number, self._rest)
            self._rest = min(2 * self._rest, LONGEST_REST)
            self._fewer = not self._fewer

    def _other(self, round_s: float, cap: float, workers: int) -> int | None:
        """The number of groups to compare with, 0 for callers as they come; None: nothing is worth trying."""
        callers = self._callers
        least = max(ceil(callers / cap), workers)
        """Groups that there are anyhow."""
        if self._fewer and self.number:
            return self.number - 1 if self.number - 1 > least else 0
        more = max(self.number, least) + 1
        times, size = self._times, ceil(callers / more)
        # At best workers never wait, or what they do now is all hidden behind the returning of others.
        hidden_s = callers / times.mean_rows * times.mean_s / workers
        best_s = max(more * times(size) / workers, round_s - hidden_s)
        return more if 2 * size >= FEWEST and best_s < PROMISE * round_s else None

    def _settle(self, number: int, rounds: float) -> None:
        """So many groups from now on, for so many rounds before anything is measured."""
        self.size = float(ceil(self._callers / number)) if number else inf
        self._due = self._answered + rounds * self._callers
