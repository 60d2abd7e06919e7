"""`@tiffin.batch`: the methods of a runner class that take the rows of many callers at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, overload

from ...errors import ServiceDefinitionError
from ..manifest import MethodSpec, PaddingSpec
from .batch_options import check_cost, check_cost_takes, fit_arguments, increasing, padding
from .options import DAY_S, MAX_ROWS, number, refuse_unknown, whole
from .where import line_of, user_line

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__tiffin_batch__"
_OPTIONS = (
    "max_size",
    "max_latency_ms",
    "cost",
    "max_cost",
    "pad",
    "buckets",
    "axis",
    "unpad",
    "sizes",
)


@dataclass(frozen=True)
class BatchMark:
    max_size: int | None = None
    """Rows; None: the runner's `max_batch_size`."""
    max_latency_ms: float | None = None
    """Longest a row may spend in this method; None: the runner's."""
    cost: str | Callable[..., Any] | None = None
    """What batches weigh; None: rows."""
    max_cost: int | None = None
    padding: PaddingSpec | None = None
    sizes: tuple[int, ...] = ()

    def describe(self, spec: MethodSpec) -> MethodSpec:
        """Writes itself into the description of the method."""
        spec.batch = True
        spec.max_batch_size, spec.max_latency_ms = self.max_size, self.max_latency_ms
        spec.cost = _name(self.cost)
        spec.max_cost = self.max_cost
        spec.padding = self.padding
        spec.sizes = list(self.sizes)
        return spec


@overload
def batch(fn: F) -> F: ...
@overload
def batch(
    *,
    max_size: int | None = None,
    max_latency_ms: float | None = None,
    cost: str | Callable[..., Any] | None = None,
    max_cost: int | None = None,
    pad: float | Mapping[str, float] | None = None,
    buckets: Sequence[int] | str | None = None,
    axis: int | None = None,
    unpad: bool | str | int | Sequence[str | int] | None = None,
    sizes: Sequence[int] | None = None,
) -> Callable[[F], F]: ...
def batch(
    fn: Any = None,
    *,
    max_size: int | None = None,
    max_latency_ms: float | None = None,
    cost: Any = None,
    max_cost: int | None = None,
    pad: Any = None,
    buckets: Any = None,
    axis: int | None = None,
    unpad: Any = None,
    sizes: Any = None,
    **unknown: Any,
) -> Any:
    """Marks a method of a runner class: positional arguments are rows, joined with other callers' rows.

    The method gets arrays, lists, tensors or data frames whose first axis is rows, and answers as many rows
    in the same order. Keyword arguments are constants of the call: only calls with equal ones share a batch.
    docs/11-ragged.md has examples of `cost` to `sizes`.

    Args:
        max_size: rows a batch, 1 to 1,000,000; None: the largest of `sizes`, or the runner's
            `max_batch_size`.
        max_latency_ms: milliseconds a row may spend here; None: the runner's `max_latency_ms`.
        cost: what a batch weighs beside its rows: `"length"`, the size of its rows along `axis`, padded ones
            as padded; or a function that is called with the arguments of each call, in the API process, and
            gives a number for the call or one for each row. A batch keeps within `max_size` and `max_cost`;
            a call is never split, and one that weighs more goes alone.
        max_cost: the most that a batch weighs, in the unit of `cost`.
        pad: fills up rows of different lengths, so that they can share a batch: a number, or a dict of
            parameter to number. A parameter named `lengths` is given the true lengths, int64[rows].
        buckets: the lengths that the method sees, increasing; rows share a batch when they are filled up to
            the same one, and a row longer than the last is refused as invalid input (422). None or
            `"pow2"`: 16, 32, 64, … without end.
        axis: the axis of the batch along which lengths differ, 1 or more; None: 1.
        unpad: what of the result is as long as the padded rows and is cut back to each row's own length:
            True for all of it, or keys of a dict, fields or positions of a tuple.
        sizes: the numbers of rows that the method is called with, increasing, for compiled models: its last
            row is repeated until the next of them is reached, and what came of the repetition is dropped.

    Raises:
        ServiceDefinitionError: an option or a method that cannot work.
    """
    where = f"{user_line()}: @tiffin.batch"
    refuse_unknown(where, unknown, _OPTIONS)
    if max_size is not None:
        whole(where, "max_size", max_size, 1, MAX_ROWS)
    if max_latency_ms is not None:
        number(where, "max_latency_ms", max_latency_ms, DAY_S * 1000, "milliseconds")
    check_cost(where, cost, max_cost)
    allowed = () if sizes is None else tuple(increasing(where, "sizes", sizes))
    if allowed and max_size is not None and max_size > allowed[-1]:
        raise ServiceDefinitionError(
            f"{where}: max_size={max_size} is more than the largest of sizes={allowed}; leave it out"
        )
    if allowed and max_size is None:
        max_size = allowed[-1]
    filled = padding(where, pad, buckets, axis, unpad)
    mark = BatchMark(max_size, max_latency_ms, cost, max_cost, filled, allowed)
    if fn is None:
        return lambda method: _mark(method, mark)
    return _mark(fn, mark)


def batch_mark(function: object) -> BatchMark | None:
    mark = getattr(function, MARK, None)
    return mark if isinstance(mark, BatchMark) else None


def _name(cost: object) -> str:
    if cost is None or isinstance(cost, str):
        return cost or ""
    function = inspect.unwrap(cost) if callable(cost) else cost
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '')}:{name}"


def _mark(fn: F, mark: BatchMark) -> F:
    if not inspect.isfunction(fn):
        raise ServiceDefinitionError(
            f"{user_line()}: @tiffin.batch stands on {fn!r}; "
            "put it directly on a method (`def encode(self, texts)`)"
        )
    where = f"{line_of(fn)}: @tiffin.batch on {fn.__qualname__}"
    if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise ServiceDefinitionError(
            f"{where}: a worker computes one batch at a time; write a plain `def` that returns all rows"
        )
    kinds = [parameter.kind for parameter in inspect.signature(fn).parameters.values()]
    rows = kinds[1:] if kinds else []
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    if not any(kind in positional or kind is inspect.Parameter.VAR_POSITIONAL for kind in rows):
        raise ServiceDefinitionError(
            f"{where}: rows come in as positional arguments and it takes none; "
            f"write `def {fn.__name__}(self, rows)`"
        )
    if mark.padding is not None:
        mark = replace(mark, padding=fit_arguments(where, mark.padding, fn))
    if callable(mark.cost):
        check_cost_takes(where, mark.cost, fn)
    setattr(fn, MARK, mark)
    return fn
