"""Batches of a few fixed numbers of rows, for models that are compiled for each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from . import rows


def with_sizes(method: Callable[..., Any], sizes: Sequence[int]) -> Callable[..., Any]:
    """The method, called with one of these numbers of rows.

    The last row is repeated, for it is known to be one that the model takes; what came of the repetition is
    dropped. A call of no rows, or of more than the largest size, goes as it is.

    Args:
        sizes: increasing.
    """

    def with_sizes(*args: Any, **kwargs: Any) -> Any:
        count = rows.count(args)
        place = bisect_left(sizes, count)
        more = sizes[place] - count if count and place < len(sizes) else 0
        if not more:
            return method(*args, **kwargs)
        result = method(*(rows.repeat_last(value, more) for value in args), **kwargs)
        return rows.split(result, [count, more])[0]

    return with_sizes
