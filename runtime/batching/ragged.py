"""One call whose rows are to be filled up: measured, not yet padded."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

LENGTHS = "lengths"
"""The parameter of a padded method that is filled in for it."""


class Ragged:
    """The arguments of one call, measured and not yet filled up."""

    __slots__ = ("columns", "key", "lengths", "listed", "width")

    def __init__(
        self, columns: tuple[Any, ...], lengths: list[int], width: int, *, listed: bool, key: Hashable
    ) -> None:
        self.columns = columns
        """Arguments; a `Column` for each one that is filled up."""
        self.lengths = lengths
        """True length of each row."""
        self.width = width
        """Length of its bucket."""
        self.listed = listed
        """Rows came as a list, so that results that are cut back go as one."""
        self.key = key
        """Equal for calls that may go together; as `rows.shape_key`."""

    @property
    def count(self) -> int:
        return len(self.lengths)


class Column:
    """One argument to be filled up: a whole array or tensor, or a list of rows."""

    __slots__ = ("kind", "listed", "value")

    def __init__(self, kind: str, value: Any, *, listed: bool) -> None:
        self.kind = kind
        """`array` or `tensor`."""
        self.value = value
        self.listed = listed

    def lengths(self, axis: int) -> list[int]:
        if self.listed:
            return [row.shape[axis - 1] for row in self.value]
        return [self.value.shape[axis]] * len(self.value)

    def longest(self, axis: int) -> int:
        if self.listed:
            return max(self.lengths(axis))
        return int(self.value.shape[axis])

    def tail(self, axis: int) -> tuple[int, ...]:
        """Shape of a row without the padded axis."""
        shape = self.value[0].shape if self.listed else self.value.shape[1:]
        return (*shape[: axis - 1], *shape[axis:])

    @property
    def dtype(self) -> Any:
        return self.value[0].dtype if self.listed else self.value.dtype


def first_of_row(axis: int, length: int) -> tuple[slice, ...]:
    """Index of the first `length` of a row, along what is axis `axis` of the batch."""
    return (*[slice(None)] * (axis - 1), slice(0, length))


def first_of_rows(axis: int, length: int) -> tuple[slice, ...]:
    """The same of each of several rows."""
    return (slice(None), *first_of_row(axis, length))
