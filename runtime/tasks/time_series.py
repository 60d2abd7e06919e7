"""Series of numbers → how they go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InferenceError, InvalidInputError, ServiceDefinitionError

SCALINGS = ("none", "standard")
_MAX_STEPS = 10_000


@dataclass
class Forecast:
    """How a series goes on."""

    values: list[float]
    """The next steps, in the series' unit."""


@dataclass(frozen=True)
class TimeSeries:
    """What goes before and after a model that sees the last steps of a series."""

    window: int = 24
    """Steps that the model sees."""
    channel_axis: bool = False
    """Whether the model takes float32[n, window, 1] rather than float32[n, window]."""
    scaling: str = "none"
    """`standard`: what the model sees has the mean 0 and the deviation 1, and its answer is scaled back."""

    def __post_init__(self) -> None:
        if self.scaling not in SCALINGS or self.window < 1:
            raise ServiceDefinitionError(
                f"TimeSeries(window={self.window}, scaling={self.scaling!r}): a window is 1 or more, "
                f"scaling is one of {', '.join(SCALINGS)}"
            )

    def forecast(self, predict: Callable[[Any], Any], series: Any, steps: int) -> Forecast:
        """The next steps; a model that gives fewer at a time is asked again with its own answer.

        Args:
            predict: float32[1, window] → float[1] or float[1, steps]: the model.
            series: float[t], the oldest first, `window` steps or more.
            steps: 1 to 10,000.

        Raises:
            InvalidInputError: too short a series, no numbers, or a number of steps out of range.
            InferenceError: the model gives no numbers.
        """
        known = np.asarray(series, dtype=np.float64)
        if known.ndim != 1 or len(known) < self.window:
            raise InvalidInputError(f"the series has {known.size} steps, the model sees {self.window}")
        if not np.all(np.isfinite(known)):
            raise InvalidInputError("the series has steps that are no numbers: fill them first")
        if not 1 <= steps <= _MAX_STEPS:
            raise InvalidInputError(f"steps={steps}: from 1 to {_MAX_STEPS}")
        values: list[float] = []
        while len(values) < steps:
            given = np.asarray([*known, *values])[-self.window :]
            values += self._next(predict, given)
        return Forecast(values[:steps])

    def _next(self, predict: Callable[[Any], Any], given: np.ndarray[Any, Any]) -> list[float]:
        middle, width = 0.0, 1.0
        if self.scaling == "standard":
            middle, width = float(given.mean()), float(given.std()) or 1.0
        row = ((given - middle) / width).astype(np.float32)[None]
        answer = np.asarray(predict(row[..., None] if self.channel_axis else row))
        if not answer.size or answer.dtype.kind not in "fiu":
            raise InferenceError(f"the model gives no numbers: {answer.dtype}{list(answer.shape)}")
        return [float(value) * width + middle for value in answer.reshape(-1)]
