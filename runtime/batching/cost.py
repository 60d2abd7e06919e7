"""What a call weighs, when a method counts something other than rows: tokens, pixels."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from math import ceil, isfinite
from typing import Any

from ...errors import InferenceError, ServingError, UsageError
from ..manifest import MethodSpec
from ..service.batch_options import LENGTH
from . import rows
from .ragged import Ragged


class Cost:
    """Asked once a call, in the process that batches.

    Args:
        name: `encoder.encode`, for errors.
        spec: of the method; it has a `cost`.
        function: the user's, unless the cost is the length of the rows.

    Raises:
        UsageError: the method counts with a function and there is none.
    """

    def __init__(self, name: str, spec: MethodSpec, function: Callable[..., Any] | None) -> None:
        if spec.cost != LENGTH and function is None:
            raise UsageError(f"{name} weighs its calls with {spec.cost}, which this process does not have")
        self._name = name
        self._axis = spec.padding.axis if spec.padding is not None else 1
        self._function = function
        self._constants = _constants(function)

    def __call__(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], count: int, ragged: Ragged | None
    ) -> int:
        """Whole units, at least 1.

        Args:
            count: rows of the call.
            ragged: the call when its rows are padded: what is padded costs as much as what is not.

        Raises:
            InferenceError: the function raised, or gave no weight.
            UsageError: the rows have no length.
        """
        if self._function is None:
            return max(1, ragged.width * count if ragged is not None else self._length(args[0]))
        named = (
            kwargs if self._constants is None else {k: v for k, v in kwargs.items() if k in self._constants}
        )
        try:
            weight = _total(self._function(*args, **named), count)
        except ServingError:
            raise
        except Exception as error:
            raise InferenceError(
                f"cost= of {self._name} failed: {type(error).__name__}: {error}",
                remote_type=type(error).__name__,
                traceback=traceback.format_exc(),
            ) from error
        return max(1, ceil(weight))

    def _length(self, value: Any) -> int:
        if rows.kind_of(value) in ("array", "tensor") and value.ndim > self._axis:
            return int(value.shape[0] * value.shape[self._axis])
        if (
            rows.kind_of(value) == "list"
            and self._axis == 1
            and all(hasattr(row, "__len__") for row in value)
        ):
            return sum(map(len, value))
        raise UsageError(
            f"{self._name} weighs its calls by the length of rows, axis {self._axis}, which "
            f"{rows.describe(value)} does not have; give cost= a function"
        )


def _total(weight: Any, count: int) -> float:
    """A number for all, or one for each row.

    Raises:
        ValueError: neither.
    """
    if hasattr(weight, "tolist"):
        weight = weight.tolist()
    if isinstance(weight, (list, tuple)):
        if len(weight) != count:
            raise ValueError(
                f"it gave {len(weight)} weights for {count} rows; give one for each, or their sum"
            )
        weight = sum(weight)
    if not isinstance(weight, (int, float)) or not isfinite(weight) or weight < 0:
        raise ValueError(f"it gave {weight!r}; give a number of 0 or more, or one for each row")
    return weight


def _constants(function: Callable[..., Any] | None) -> frozenset[str] | None:
    """Keyword arguments of the call that the function asks for; None: all."""
    if function is None:
        return None
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of C code: takes rows
        return frozenset()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY})
