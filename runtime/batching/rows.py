"""What a row is: how requests are counted, told apart, put together and taken apart again.

Rows lie on axis 0 of arrays, tensors and data frames, and are the items of a list. This file knows frameworks
by the names of their types and imports one only when a value of its own is at hand.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NoReturn

import numpy as np

from ...errors import ResultMismatchError, UsageError

_ARRAY = np.ndarray
_kinds: dict[type, str] = {np.ndarray: "array", list: "list", tuple: "tuple", dict: "dict"}


def kind_of(value: Any) -> str:
    """`array`, `list`, `tensor`, `frame`, `series`, `tuple`, `dict`, or `other`."""
    kind = type(value)
    known = _kinds.get(kind)
    if known is None:
        known = _kinds[kind] = _find(kind)
    return known


def _find(kind: type) -> str:
    for base in kind.__mro__:
        module = base.__module__.partition(".")[0]
        if (module, base.__name__) in _FOREIGN:
            return _FOREIGN[module, base.__name__]
        if base in _kinds:
            return _kinds[base]
    return "other"


_FOREIGN = {("torch", "Tensor"): "tensor", ("pandas", "DataFrame"): "frame", ("pandas", "Series"): "series"}


def count(args: Sequence[Any]) -> int:
    """Rows of one call.

    Raises:
        UsageError: no positional arguments, one that has no rows, or several with different numbers of rows.
    """
    rows = -1
    for place, value in enumerate(args):
        own = _rows(value)
        if own is None:
            raise UsageError(
                f"argument {place + 1} of a batch method is {describe(value)}: give rows (an array, tensor, "
                "list or data frame), call .one(…) for a single row, and give constants by keyword"
            )
        if rows not in (-1, own):
            raise UsageError(
                f"argument {place + 1} of a batch method has {own} rows and argument 1 has {rows}: "
                "positional arguments are rows; give constants by keyword"
            )
        rows = own
    if rows < 0:
        raise UsageError("a batch method needs its rows as positional arguments")
    return rows


def _rows(value: Any) -> int | None:
    kind = kind_of(value)
    if kind in ("array", "tensor"):
        return int(value.shape[0]) if value.ndim else None
    if kind in ("list", "frame", "series"):
        return len(value)
    return None


def describe(value: Any) -> str:
    """`a 0-dimensional array`, `of type set`."""
    kind = kind_of(value)
    return f"a 0-dimensional {kind}" if kind in ("array", "tensor") else f"of type {type(value).__qualname__}"


def shape_key(args: Sequence[Any]) -> Hashable:
    """Equal for calls whose rows may be put together: the same kinds, dtypes and shapes of a row."""
    if len(args) == 1 and type(args[0]) is _ARRAY:
        array = args[0]
        return array.dtype, array.shape[1:]
    return tuple(key_of(value) for value in args)


def key_of(value: Any) -> Hashable:
    """The part of `shape_key` that one argument has."""
    kind = kind_of(value)
    if kind in ("array", "tensor"):
        return kind, value.dtype, tuple(value.shape[1:])
    if kind == "frame":
        # The dtypes themselves: two categorical ones with other categories would make a column of objects.
        return kind, tuple(value.columns), tuple(value.dtypes)
    if kind == "series":
        return kind, value.dtype
    return kind


def join(calls: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """The positional arguments of several calls with one `shape_key`, put together in order."""
    if len(calls) == 1:
        return tuple(calls[0])
    return tuple(join_column(column) for column in zip(*calls, strict=True))


def join_column(parts: Sequence[Any]) -> Any:
    """One argument of several calls, put together."""
    kind = kind_of(parts[0])
    if kind == "array":
        return np.concatenate(parts)
    if kind == "list":
        return [row for part in parts for row in part]
    if kind == "tensor":
        import torch

        return torch.cat(list(parts))
    import pandas as pd

    return pd.concat(parts, ignore_index=True)


def repeat_last(value: Any, more: int) -> Any:
    """The rows and, behind them, the last one that many times again."""
    last = value.iloc[-1:] if kind_of(value) in ("frame", "series") else value[-1:]
    return join_column([value, *[last] * more])


def split(result: Any, counts: Sequence[int], where: str = "") -> list[Any]:
    """Each call's own rows of the result of all of them.

    Arrays and tensors are split as views, lists and data frames by slices, tuples and dicts leaf by leaf.

    Args:
        where: `['scores']`: the part of a whole result that this is, for errors.

    Raises:
        ResultMismatchError: the result, or a leaf of it, has not one row for each row that went in.
    """
    ends: list[int] = []
    total = 0
    for rows in counts:
        total += rows
        ends.append(total)
    return _split(result, counts, ends, total, where)


def check(value: Any, total: int, where: str) -> None:
    """Raises ResultMismatchError when a part of a result has not that many rows."""
    if _rows(value) != total:
        _mismatch(value, total, where)


def _split(result: Any, counts: Sequence[int], ends: list[int], total: int, where: str) -> list[Any]:
    kind = kind_of(result)
    if kind == "tuple":
        if not result:
            _mismatch(result, total, where)
        leaves = [_split(leaf, counts, ends, total, f"{where}[{at}]") for at, leaf in enumerate(result)]
        make = tuple_maker(type(result))
        return [make(parts) for parts in zip(*leaves, strict=True)]
    if kind == "dict":
        if not result:
            _mismatch(result, total, where)
        columns = {
            key: _split(leaf, counts, ends, total, f"{where}[{key!r}]") for key, leaf in result.items()
        }
        return [{key: parts[at] for key, parts in columns.items()} for at in range(len(counts))]
    check(result, total, where)
    if len(counts) == 1:
        return [result]
    if kind in ("frame", "series"):
        return [_slice_table(result, end - rows, end) for rows, end in zip(counts, ends, strict=True)]
    return [result[end - rows : end] for rows, end in zip(counts, ends, strict=True)]


def _slice_table(table: Any, start: int, end: int) -> Any:
    part = table.iloc[start:end]
    # A fresh 0, 1, 2 … starts again for every caller; an index that means something is kept.
    return part.reset_index(drop=True) if type(table.index).__name__ == "RangeIndex" else part


def tuple_maker(kind: type) -> Any:
    """Makes a tuple or named tuple of that kind from its items."""
    return kind._make if hasattr(kind, "_make") else tuple


def _mismatch(result: Any, total: int, where: str) -> NoReturn:
    rows = _rows(result)
    got = f"{rows} rows" if rows is not None else describe(result)
    place = f" at result{where}" if where else ""
    raise ResultMismatchError(
        f"a batch of {total} rows came back as {got}{place}: "
        "a batch method returns one row for each row it is given"
    )


def one(args: Sequence[Any]) -> tuple[Any, ...]:
    """A batch of one row from the arguments of `.one(…)`."""
    return tuple(_one(value) for value in args)


def _one(value: Any) -> Any:
    kind = kind_of(value)
    if kind == "array":
        return value[None]
    if kind == "tensor":
        return value.unsqueeze(0)
    if isinstance(value, np.generic):
        return np.array([value])
    if kind == "series":
        return value.to_frame().T
    return [value]


def first(result: Any) -> Any:
    """The only row of the result of a batch of one."""
    kind = kind_of(result)
    if kind == "tuple":
        return tuple_maker(type(result))([first(leaf) for leaf in result])
    if kind == "dict":
        return {key: first(leaf) for key, leaf in result.items()}
    if kind in ("frame", "series"):
        return result.iloc[0]
    return result[0]
