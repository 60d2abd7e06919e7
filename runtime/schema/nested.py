"""Nested lists of numbers, as JSON has them → arrays; and when that fails, exactly why and where."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from .dims import MAX_AXES
from .dtypes import Dtypes
from .texts import check_lists
from .wrong import WrongValueError, at_index, short


def list_type(element: Any, depth: int) -> Any:
    """`list[list[float]]` for depth 2."""
    for _ in range(depth):
        element = list[element]
    return element


def to_array(value: Any, dtypes: Dtypes, depth: int) -> np.ndarray[Any, Any]:
    """Lists whose elements msgspec has checked → array of an allowed dtype.

    Args:
        value: `depth` lists in each other (or one element when 0).
        dtypes: what the elements may become.
        depth: number of axes; an empty list may end it early.

    Raises:
        WrongValueError: ragged, out of range, or of mixed kinds; says at which index.
    """
    if dtypes.only is not None:
        try:
            return np.array(value, dtypes.only)
        except (ValueError, OverflowError):
            raise _why(value, dtypes, depth) from None
    if dtypes.names is None:
        check_lists(value, depth)
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        raise _why(value, dtypes, depth) from None
    if array.dtype.kind == "O":
        raise _why(value, dtypes, depth)
    if array.size and (array.dtype.kind == "U" or dtypes.bool):
        _check_one_kind(value, array, depth)
    return dtypes.settle(array)


def depth_of(value: Any) -> int:
    """Levels of lists down to the first element that is none."""
    depth = 0
    while isinstance(value, (list, tuple)):
        depth += 1
        if depth > MAX_AXES:
            raise WrongValueError(f"expected an array of at most {MAX_AXES} axes, got lists nested deeper")
        value = value[0] if value else None
    return depth


def from_plain(value: Any, dtypes: Dtypes, depth: int | None) -> np.ndarray[Any, Any]:
    """Lists that nobody has checked yet → array.

    Args:
        value: what JSON or msgpack held: lists, numbers, anything.
        dtypes: what the elements may become.
        depth: the number of axes that is expected; None takes what comes.
    """
    if depth is None:
        depth = depth_of(value)
    try:
        checked = msgspec.convert({"v": value}, _checker(dtypes, depth))
    except msgspec.ValidationError as error:
        text, _, path = str(error).rpartition(" - at ")
        raise WrongValueError(text, path.strip("`").removeprefix("$.v")) from None
    return to_array(checked.v, dtypes, depth)


@lru_cache(maxsize=512)
def _checker(dtypes: Dtypes, depth: int) -> Any:
    # A Struct, because msgspec remembers what it found out about one; a list hint it would read each time.
    return msgspec.defstruct("Checked", [("v", list_type(dtypes.element, depth))])


def _why(value: Any, dtypes: Dtypes, depth: int) -> WrongValueError:
    """Finds the ragged list or the number that is too large; numpy refused already."""
    found = _ragged(value, depth)
    if found is not None:
        return found
    low = 0 if dtypes.int == "uint64" else -(2**63)
    high = 2**64 - 1 if dtypes.names is None or "uint64" in dtypes.names else 2**63 - 1
    level: list[tuple[tuple[int, ...], Any]] = [((), value)]
    for _ in range(depth):
        level = [((*at, i), item) for at, items in level for i, item in enumerate(items)]
    for at, item in level:
        if isinstance(item, int) and not low <= item <= high:
            return WrongValueError(
                f"{short(item)} does not fit {dtypes.int or dtypes.title} elements", at_index(at)
            )
    return WrongValueError(f"expected an array of {dtypes.title} elements, got lists that numpy cannot join")


def _ragged(value: Any, depth: int) -> WrongValueError | None:
    """The first list that is not as long as the first of its level."""
    level: list[tuple[tuple[int, ...], Any]] = [((), value)]
    for _ in range(depth - 1):
        level = [((*at, i), item) for at, items in level for i, item in enumerate(items)]
        if not level:
            return None
        first_at, first = level[0]
        for at, items in level:
            if len(items) != len(first):
                return WrongValueError(
                    f"expected {len(first)} elements as in {at_index(first_at)}, got {len(items)}: "
                    "every row must have the same length",
                    at_index(at),
                )
    return None


def _check_one_kind(value: Any, array: np.ndarray[Any, Any], depth: int) -> None:
    """numpy joins `true` and 1 to 1, and "a" and 1 to "1": refused, because the kinds would be lost."""
    flat = value if depth else [value]
    for _ in range(depth - 1):
        flat = list(chain.from_iterable(flat))
    kinds = set(map(type, flat))
    if len(kinds) == 1 or kinds == {int, float}:
        return
    first = type(flat[0])
    at = next(
        i for i, item in enumerate(flat) if type(item) is not first and {type(item), first} != {int, float}
    )
    index = tuple(int(position) for position in np.unravel_index(at, array.shape))
    raise WrongValueError(
        f"expected `{first.__name__}` like the first element, got `{type(flat[at]).__name__}`",
        at_index(index),
    )
