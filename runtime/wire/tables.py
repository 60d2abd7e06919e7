"""pandas data frames and series, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import values
from .frame import Buffer


def _column(array: Any, buffers: list[Buffer]) -> list[Any]:
    """[how, dtype, content]: numpy columns as arrays, the others as what pandas can make them from again."""
    import numpy as np
    import pandas as pd

    dtype = array.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        categories = _column(dtype.categories.array, buffers)
        codes = values.lower_child(np.asarray(array.codes), buffers)
        return ["category", bool(dtype.ordered), [categories, codes]]
    if isinstance(dtype, pd.DatetimeTZDtype):
        utc = array.tz_convert("UTC").tz_localize(None)
        return ["zoned", str(dtype.tz), values.lower_child(np.asarray(utc), buffers)]
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return ["numpy", "", values.lower_child(np.asarray(array), buffers)]
    if isinstance(dtype, np.dtype):
        return ["numpy", "", values.lower_child(np.asarray(array, dtype=object), buffers)]
    missing = pd.isna(array).tolist()
    items = [None if gone else item for item, gone in zip(array.tolist(), missing, strict=True)]
    return ["elements", str(dtype), values.lower_child(items, buffers)]


def _raise_column(column: list[Any]) -> Any:
    import pandas as pd

    how, dtype, content = column
    if how == "category":
        return pd.Categorical.from_codes(content[1], categories=_raise_column(content[0]), ordered=dtype)
    if how == "zoned":
        return pd.DatetimeIndex(content).tz_localize("UTC").tz_convert(dtype).array
    if how == "elements":
        return pd.array(content, dtype=dtype)
    return content


def _index(index: Any, buffers: list[Buffer]) -> Any:
    """None for 0, 1, 2 …; a MultiIndex level by level."""
    import pandas as pd

    if isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None:
        return None
    levels = [index.get_level_values(level) for level in range(index.nlevels)]
    names = [values.lower_child(level.name, buffers) for level in levels]
    return [names, [_column(level.array, buffers) for level in levels]]


def _raise_index(index: Any) -> Any:
    import pandas as pd

    if index is None:
        return None
    names, levels = index
    arrays = [_raise_column(level) for level in levels]
    if len(arrays) == 1:
        return pd.Index(arrays[0], name=names[0])
    return pd.MultiIndex.from_arrays(arrays, names=names)


def _frame(value: Any, buffers: list[Buffer]) -> Any:
    names = [values.lower_child(name, buffers) for name in value.columns]
    columns = [_column(value.iloc[:, place].array, buffers) for place in range(value.shape[1])]
    return values.nest(values.FRAME, [len(value), names, columns, _index(value.index, buffers)])


def _raise_frame(data: memoryview, buffers: Sequence[memoryview]) -> Any:
    import pandas as pd

    rows, names, columns, index = values.raise_child(data, buffers)
    made = _raise_index(index)
    made = pd.RangeIndex(rows) if made is None else made
    # By position first: two columns may have the same name.
    frame = pd.DataFrame({place: _raise_column(column) for place, column in enumerate(columns)}, index=made)
    frame.columns = pd.Index(names) if names else pd.RangeIndex(0)
    return frame


def _series(value: Any, buffers: list[Buffer]) -> Any:
    name = values.lower_child(value.name, buffers)
    column = _column(value.array, buffers)
    return values.nest(values.SERIES, [name, column, _index(value.index, buffers)])


def _raise_series(data: memoryview, buffers: Sequence[memoryview]) -> Any:
    import pandas as pd

    name, column, index = values.raise_child(data, buffers)
    return pd.Series(_raise_column(column), index=_raise_index(index), name=name)


def match(kind: type) -> values.Lower | None:
    """The codec for a type of this file."""
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] != "pandas":
            continue
        if base.__name__ == "DataFrame":
            return _frame
        if base.__name__ == "Series":
            return _series
        if base.__name__ in ("Timestamp", "Timedelta"):
            return _moment
    return None


def _moment(value: Any, buffers: list[Buffer]) -> Any:
    """Timestamps and Timedeltas become the standard library's (nanoseconds are cut to microseconds)."""
    plain = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value.to_pytimedelta()
    return values.lower_child(plain, buffers)


RAISE: dict[int, values.Raise] = {values.FRAME: _raise_frame, values.SERIES: _raise_series}
