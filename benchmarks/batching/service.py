"""Service times of simulated models: seconds of a batch as a function of its rows, with noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Service:
    """`fixed + row * n`, of n rounded up to `step`, and `steep` more for each row past `knee`."""

    kind: str
    fixed_s: float
    row_s: float
    step: int = 1
    knee: int = 0
    """0: none."""
    steep: float = 0.0
    """Past the knee a row costs `row_s + steep`."""
    noise: float = 0.0
    """Sigma of the lognormal factor, whose mean is 1."""

    def mean(self, rows: float) -> float:
        """Seconds of a batch of that many rows, on average."""
        whole = math.ceil(rows / self.step) * self.step
        past = max(0.0, whole - self.knee) if self.knee else 0.0
        return self.fixed_s + self.row_s * whole + self.steep * past

    def sample(self, rows: int, rng: Random) -> float:
        """Seconds of one batch."""
        if not self.noise:
            return self.mean(rows)
        return self.mean(rows) * math.exp(rng.gauss(-self.noise * self.noise / 2, self.noise))

    def capacity(self, max_rows: int) -> float:
        """Rows a second that one worker can do at its best batch size."""
        return max(n / self.mean(n) for n in range(1, max_rows + 1))

    def best_rows(self, max_rows: int) -> int:
        """The batch size of `capacity`."""
        return max(range(1, max_rows + 1), key=lambda n: n / self.mean(n))

    def __str__(self) -> str:
        extra = f" step {self.step}" if self.step > 1 else ""
        extra += f" knee {self.knee} +{self.steep * 1e3:.2f}" if self.knee else ""
        return f"{self.fixed_s * 1e3:.1f}+{self.row_s * 1e3:.2f}n ms{extra} ±{self.noise:.0%}"


def random_service(rng: Random, kind: str, *, largest_s: float = math.inf, max_rows: int = 64) -> Service:
    """A model of that kind (`linear`, `step`, `knee`) whose full batch takes at most `largest_s`."""
    while True:
        fixed = math.exp(rng.uniform(math.log(0.2e-3), math.log(50e-3)))
        row = math.exp(rng.uniform(math.log(0.01e-3), math.log(5e-3)))
        noise = rng.choice((0.0, rng.uniform(0.0, 0.3)))
        if kind == "step":
            service = Service(kind, fixed, row, step=rng.choice((4, 8, 16, 32)), noise=noise)
        elif kind == "knee":
            knee = rng.randint(8, 48)
            # A steep part worth the name: a full batch is less productive than one at the knee.
            steep = (fixed / knee + row) * rng.uniform(1.5, 6.0) - row
            service = Service(kind, fixed, row, knee=knee, steep=max(steep, row), noise=noise)
        else:
            service = Service(kind, fixed, row, noise=noise)
        if service.mean(max_rows) <= largest_s:
            return service
