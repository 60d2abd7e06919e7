"""`@tiffin.batch`: the methods of a runner class that take the rows of many callers at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from ...errors import ServiceDefinitionError
from .options import DAY_S, MAX_ROWS, number, refuse_unknown, whole
from .where import line_of, user_line

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__tiffin_batch__"
_OPTIONS = ("max_size", "max_latency_ms")


@dataclass(frozen=True)
class BatchMark:
    max_size: int | None = None
    """Rows; None: the runner's `max_batch_size`."""
    max_latency_ms: float | None = None
    """Longest a row may spend in this method; None: the runner's."""


@overload
def batch(fn: F) -> F: ...
@overload
def batch(*, max_size: int | None = None, max_latency_ms: float | None = None) -> Callable[[F], F]: ...
def batch(
    fn: Any = None, *, max_size: int | None = None, max_latency_ms: float | None = None, **unknown: Any
) -> Any:
    """Marks a method of a runner class: positional arguments are rows, joined with other callers' rows.

    The method gets arrays, lists, tensors or data frames whose first axis is rows, and answers as many rows
    in the same order. Keyword arguments are constants of the call: only calls with equal ones share a batch.

    Args:
        max_size: rows a batch, 1 to 1,000,000; None: the runner's `max_batch_size`.
        max_latency_ms: milliseconds a row may spend here; None: the runner's `max_latency_ms`.

    Raises:
        ServiceDefinitionError: an option or a method that cannot work.
    """
    where = f"{user_line()}: @tiffin.batch"
    refuse_unknown(where, unknown, _OPTIONS)
    if max_size is not None:
        whole(where, "max_size", max_size, 1, MAX_ROWS)
    if max_latency_ms is not None:
        number(where, "max_latency_ms", max_latency_ms, DAY_S * 1000, "milliseconds")
    mark = BatchMark(max_size, max_latency_ms)
    if fn is None:
        return lambda method: _mark(method, mark)
    return _mark(fn, mark)


def batch_mark(function: object) -> BatchMark | None:
    mark = getattr(function, MARK, None)
    return mark if isinstance(mark, BatchMark) else None


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
    setattr(fn, MARK, mark)
    return fn
