"""Who calls in the simulator: open loops that do not care for answers, and clients that wait for theirs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from .simulator import Call


@dataclass
class Poisson:
    """Bursts of `burst` single rows (geometric; 1: plain Poisson), `rate` rows a second in all."""

    rate: float
    rng: Random
    burst: float = 1.0
    _now: float = 0.0
    _left: int = 0

    def first(self) -> Sequence[Call]:
        return [self._next()]

    def following(self, now: float, client: int) -> Call | None:  # noqa: ARG002
        return self._next()

    def answered(self, now: float, client: int, served: bool) -> Call | None:  # noqa: ARG002
        return None

    def _next(self) -> Call:
        if self._left:
            self._left -= 1
        else:
            self._now += self.rng.expovariate(self.rate / self.burst)
            if self.burst > 1:
                self._left = int(math.log(1 - self.rng.random()) / math.log(1 - 1 / self.burst))
        return self._now, 1, 0


@dataclass
class Clients:
    """Each calls, waits for its answer, thinks, calls again."""

    number: int
    think_s: float
    rng: Random
    kind: str = "constant"
    """Of the think time: `constant` (within 10 %), `exponential`."""
    retry_s: float = 0.01
    """What a refused client waits besides its think time."""

    def first(self) -> Sequence[Call]:
        spread = max(self.think_s, 1e-3)
        return [(self.rng.random() * spread, 1, client) for client in range(self.number)]

    def following(self, now: float, client: int) -> Call | None:  # noqa: ARG002
        return None

    def answered(self, now: float, client: int, served: bool) -> Call | None:
        if self.kind == "constant":
            pause = self.think_s * self.rng.uniform(0.9, 1.1)
        else:
            pause = self.rng.expovariate(1 / self.think_s) if self.think_s else 0.0
        return now + pause + (0.0 if served else self.retry_s), 1, client
