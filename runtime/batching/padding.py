"""Rows of different lengths: filled up to the same length, put together, and their results cut back.

A call is padded to the bucket of its longest row, whose edge is part of its `key`: only calls of one bucket
share a batch, here and in the worker, where they arrive as arrays of one shape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from ...errors import InvalidInputError, UsageError
from ..manifest import MethodSpec, Number, PaddingSpec
from . import rows
from .ragged import LENGTHS, Column, Ragged, first_of_row, first_of_rows
from .unpadding import Unpadding

FIRST_BUCKET = 16
"""Shorter rows cost a model as much; buckets below would only keep them apart."""


class Padding:
    """How one method's calls are padded.

    Args:
        name: `encoder.encode`, for errors.
        spec: of the method; it has `padding`.
    """

    def __init__(self, name: str, spec: MethodSpec) -> None:
        if spec.padding is None:
            raise ValueError("a method without padding")
        self._name = name
        self._spec: PaddingSpec = spec.padding
        self._axis = spec.padding.axis
        self._buckets = spec.padding.buckets
        self._cut = Unpadding(spec.padding) if spec.padding.unpad else None
        self._fitting: set[tuple[Number, Hashable]] = set()
        self._usual: set[np.dtype[Any]] = set()
        """Of single arguments that were found in order."""
        self._dtypes = {
            place: np.dtype(spec.inputs[name].dtype)
            for place, name in enumerate(spec.padding.arguments)
            if name in spec.inputs and spec.inputs[name].kind == "array" and spec.inputs[name].dtype
        }
        """Of arguments that arrive as lists of Python numbers."""

    # -- a call comes in

    def take(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Ragged:
        """Measures a call.

        Raises:
            InvalidInputError: a row is longer than the last bucket, or rows do not go together.
            UsageError: no rows, or nothing that can be filled up.
        """
        if self._spec.lengths and LENGTHS in kwargs:
            raise UsageError(
                f"{self._name} is given its lengths by the server; leave lengths= out of the call"
            )
        lone = args[0] if len(args) == 1 else None
        if type(lone) is np.ndarray and lone.dtype in self._usual and lone.ndim > self._axis:
            return self._lone(lone)
        count = rows.count(args)
        columns, lengths, longest, listed, first = [], [], 0, False, -1
        for place, value in enumerate(args):
            column = self._column(place, value)
            columns.append(value if column is None else column)
            if column is None:
                continue
            own = column.lengths(self._axis)
            longest = max(longest, column.longest(self._axis))
            if first < 0:
                first, lengths, listed = place, own, column.listed
            elif own != lengths:
                row = next(at for at in range(count) if own[at] != lengths[at])
                raise InvalidInputError(
                    f"row {row} of {self._word(place)} has length {own[row]} and that of {self._word(first)} "
                    f"has {lengths[row]}: the arguments of a row are equally long"
                )
        if first < 0:
            raise UsageError(
                f"{self._name} pads axis {self._axis} and no argument has it: "
                f"give arrays with {self._axis + 1} axes or more, or lists of arrays"
            )
        width = self.width(longest)
        if len(columns) == 1 and columns[0].kind == "array":
            self._usual.add(columns[0].dtype)
        return Ragged(tuple(columns), lengths, width, listed=listed, key=(width, *map(self._key_of, columns)))

    def _lone(self, array: np.ndarray[Any, Any]) -> Ragged:
        """What `take` gives for a single array of a dtype that was checked before."""
        shape, axis = array.shape, self._axis
        width = self.width(shape[axis])
        column = Column("array", array, listed=False)
        key = (width, ("array", array.dtype, (*shape[1:axis], *shape[axis + 1 :])))
        return Ragged((column,), [shape[axis]] * shape[0], width, listed=False, key=key)

    def width(self, length: int) -> int:
        """The length to which a row of this length is filled up.

        Raises:
            InvalidInputError: it is longer than the last bucket.
        """
        buckets = self._buckets
        if not buckets:
            return max(FIRST_BUCKET, 1 << max(0, length - 1).bit_length())
        place = bisect_left(buckets, length)
        if place == len(buckets):
            raise InvalidInputError(
                f"a row of length {length} is longer than {self._name} takes: {buckets[-1]} at most"
            )
        return buckets[place]

    def _column(self, place: int, value: Any) -> Column | None:
        """None for an argument that goes as it is."""
        if not self._pads(place):
            return None
        kind = rows.kind_of(value)
        column = None
        if kind == "list" or (kind == "array" and value.dtype.hasobject):
            column = self._listed(place, list(value))
        elif kind in ("array", "tensor") and value.ndim > self._axis:
            column = Column(kind, value, listed=False)
        if column is None:
            if self._spec.values:
                raise UsageError(
                    f"{self._name}: {self._word(place)} is filled up along axis {self._axis}, which "
                    f"{_shown(value)} does not have"
                )
            return None
        self._check_fill(place, column.dtype)
        return column

    def _listed(self, place: int, given: list[Any]) -> Column | None:
        if not given:
            empty = np.empty((0,) * self._axis + (0,), self._likely(place))
            return Column("array", empty, listed=False)
        kinds = {rows.kind_of(row) for row in given}
        if kinds == {"tensor"}:
            made = given
        elif kinds <= {"array", "list", "tuple"}:
            made = self._arrays(place, given)
        else:
            return None
        if made[0].ndim < self._axis:
            return None
        column = Column("tensor" if kinds == {"tensor"} else "array", made, listed=True)
        tail = column.tail(self._axis)
        for at, row in enumerate(made):
            cut = row.ndim == made[0].ndim and (*row.shape[: self._axis - 1], *row.shape[self._axis :])
            if cut != tail:
                raise InvalidInputError(
                    f"row {at} of {self._word(place)} has shape {tuple(row.shape)} and row 0 "
                    f"{tuple(made[0].shape)}: they may differ only in axis {self._axis - 1} of a row"
                )
        return column

    def _arrays(self, place: int, given: list[Any]) -> list[Any]:
        """Rows as arrays of one dtype: that of the hint for Python numbers, else the least that holds all."""
        hinted = self._dtypes.get(place)
        try:
            made = [row if isinstance(row, np.ndarray) else _array(row, hinted) for row in given]
            # A plain list without elements says nothing of its dtype.
            telling = [row.dtype for row, raw in zip(made, given, strict=True) if row.size or raw is row]
            dtype = np.result_type(*telling) if telling else self._likely(place)
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInputError(
                f"rows of {self._word(place)} of {self._name} are no arrays of numbers: {error}"
            ) from error
        return [row if row.dtype == dtype else row.astype(dtype) for row in made]

    def _likely(self, place: int) -> np.dtype[Any]:
        """Of rows without elements: what the hint says, else what fills them up."""
        return self._dtypes.get(place) or np.asarray(self._fill(place)).dtype

    def _pads(self, place: int) -> bool:
        return not self._spec.values or self._argument(place) in self._spec.values

    def _fill(self, place: int) -> Number:
        value = self._spec.value
        return self._spec.values[self._argument(place)] if value is None else value

    def _argument(self, place: int) -> str:
        names = self._spec.arguments
        return names[place] if place < len(names) else ""

    def _word(self, place: int) -> str:
        return self._argument(place) or f"argument {place + 1}"

    def _check_fill(self, place: int, dtype: Any) -> None:
        """Refuses to write 0.5 into integers, or a number into text."""
        fill = self._fill(place)
        if (fill, dtype) in self._fitting:
            return
        if isinstance(dtype, np.dtype):
            if dtype.kind not in "biufc":
                raise UsageError(
                    f"{self._name}: {self._word(place)} has dtype {dtype}; only numbers can be padded"
                )
            fits = _fits(fill, dtype)
        else:
            fits = dtype.is_floating_point or dtype.is_complex or (isfinite(fill) and int(fill) == fill)
        if not fits:
            raise UsageError(f"{self._name}: pad={fill!r} does not fit into {self._word(place)} of {dtype}")
        self._fitting.add((fill, dtype))

    def _key_of(self, column: Any) -> Hashable:
        if isinstance(column, Column):
            return column.kind, column.dtype, column.tail(self._axis)
        return rows.key_of(column)

    # -- calls go together

    def join(self, calls: Sequence[Ragged]) -> tuple[Any, ...]:
        """The arguments of calls with one `key`, filled up and put together in order; `lengths` at the end
        when the method takes them."""
        width, total = calls[0].width, sum(call.count for call in calls)
        joined = []
        for place, first in enumerate(calls[0].columns):
            parts = [call.columns[place] for call in calls]
            if not isinstance(first, Column):
                joined.append(parts[0] if len(parts) == 1 else rows.join_column(parts))
            elif len(parts) == 1 and not first.listed and first.value.shape[self._axis] == width:
                joined.append(first.value)
            else:
                joined.append(self._filled(place, parts, total, width))
        if self._spec.lengths:
            joined.append(np.array([length for call in calls for length in call.lengths], np.int64))
        return tuple(joined)

    def _filled(self, place: int, parts: list[Column], total: int, width: int) -> Any:
        first, axis, fill = parts[0], self._axis, self._fill(place)
        tail = first.tail(axis)
        shape = (total, *tail[: axis - 1], width, *tail[axis - 1 :])
        if first.kind == "tensor":
            one = first.value[0] if first.listed else first.value
            out = one.new_full(shape, fill)
        else:
            out = np.full(shape, fill, first.dtype)
        at = 0
        for part in parts:
            value = part.value
            if part.listed:
                for row in value:
                    out[at][first_of_row(axis, row.shape[axis - 1])] = row
                    at += 1
                continue
            end = at + value.shape[0]
            if axis == 1:
                out[at:end, : value.shape[1]] = value
            else:
                out[at:end][first_of_rows(axis, value.shape[axis])] = value
            at = end
        return out

    # -- results come back

    def split(self, result: Any, calls: Sequence[Ragged]) -> list[Any]:
        """Each call's own rows of the result of all of them, at their own lengths where `unpad` says so.

        Raises:
            ResultMismatchError: not one row for each row that went in, or not as long as the padded rows.
        """
        if self._cut is not None:
            return self._cut.split(result, calls)
        return rows.split(result, [call.count for call in calls])


def with_lengths(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, given by name the lengths that stand last among the arguments."""

    def with_lengths(*args: Any, **kwargs: Any) -> Any:
        return method(*args[:-1], lengths=args[-1], **kwargs)

    return with_lengths


def _shown(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return rows.describe(value) if shape is None else f"one of shape {tuple(shape)}"


def _array(row: Any, hinted: np.dtype[Any] | None) -> np.ndarray[Any, Any]:
    """Raises ValueError when its numbers do not fit into the dtype of the hint."""
    made = np.asarray(row)
    if hinted is None or made.dtype == hinted:
        return made
    cast = made.astype(hinted)
    if hinted.kind not in "fc" and not np.array_equal(cast, made):
        raise ValueError(f"its hint says {hinted}, which does not hold {str(row)[:60]}")
    return cast


def _fits(fill: Number, dtype: np.dtype[Any]) -> bool:
    try:
        with np.errstate(all="ignore"):
            written = np.asarray(fill).astype(dtype)
    except OverflowError:
        return False
    if dtype.kind in "fc":
        return bool(np.isfinite(written)) == isfinite(fill)
    return isfinite(fill) and bool(written == fill)
