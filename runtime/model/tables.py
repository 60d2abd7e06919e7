"""Data frames as a model knows them: its columns, in its order, with its dtypes.

A table that came as JSON has the dtypes that pandas found in its values: 39 is an int64 and 39.5 a float64, a
date is text, and a column of nulls is anything. A model was trained on one dtype a column. Made equal before
they are batched, the tables of all callers go together. Categories are the exception: each caller's are its
own, so they travel as plain values and are made in the worker, of all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import InvalidInputError
from ..manifest import MethodSpec, TypeSpec

Run = Callable[..., Any]
Fit = Callable[[tuple[Any, ...]], tuple[Any, ...]]
_CATEGORY = "category"
_TEXT = {"str", "string", "object"}


def table_fit(method: MethodSpec) -> Fit | None:
    """What is done to the positional arguments of a method before it is called.

    Returns:
        None when none of its inputs is a data frame whose columns are known.
    """
    wanted = [_batched(spec) for spec in method.inputs.values()]
    if not any(wanted):
        return None

    def fit(args: tuple[Any, ...]) -> tuple[Any, ...]:
        known = [*wanted, *[None] * (len(args) - len(wanted))]
        return tuple(
            fitted(value, columns) if columns else value for value, columns in zip(args, known, strict=False)
        )

    return fit


def _batched(spec: TypeSpec) -> dict[str, str] | None:
    if spec.kind != "dataframe" or not spec.columns:
        return None
    return {name: "object" if dtype == _CATEGORY else dtype for name, dtype in spec.columns.items()}


def with_categories(call: Run, method: MethodSpec) -> Run:
    """The method of a loaded model, given categorical columns where it was trained on such."""
    places = {
        place: names
        for place, spec in enumerate(method.inputs.values())
        if (names := [name for name, dtype in (spec.columns or {}).items() if dtype == _CATEGORY])
    }
    if not places:
        return call

    def with_categories(*args: Any, **kwargs: Any) -> Any:
        made = [
            _categorical(value, places[place]) if place in places else value
            for place, value in enumerate(args)
        ]
        return call(*made, **kwargs)

    return with_categories


def _categorical(value: Any, names: Sequence[str]) -> Any:
    import pandas as pd

    if not isinstance(value, pd.DataFrame):
        return value
    frame: Any = value.copy(deep=False)
    for name in frame.columns:
        if str(name) in names and str(frame[name].dtype) != _CATEGORY:
            frame[name] = frame[name].infer_objects().astype(_CATEGORY)
    return frame


def fitted(value: Any, columns: Mapping[str, str]) -> Any:
    """A data frame with exactly these columns.

    Args:
        value: a data frame, a list of records, a map of columns, or an array or lists with as many columns;
            all else is given back, for the model to refuse.
        columns: name to pandas dtype, in order. Columns that the model does not know are left out.

    Raises:
        InvalidInputError: a column is missing, or holds what its dtype cannot.
    """
    import pandas as pd

    frame = value if isinstance(value, pd.DataFrame) else _frame(value, list(columns))
    if frame is None:
        return value
    names = [str(name) for name in frame.columns]
    dtypes = [str(dtype) for dtype in frame.dtypes]
    if names == list(columns) and dtypes == list(columns.values()):  # nearly always, where it was binary
        return frame
    if missing := [name for name in columns if name not in names]:
        raise InvalidInputError(f"column {missing[0]!r} is missing; the model takes {', '.join(columns)}")
    made = {}
    for name, dtype in columns.items():
        place = names.index(name)
        series = frame.iloc[:, place]
        made[frame.columns[place]] = series if dtypes[place] == dtype else _converted(series, name, dtype)
    return pd.DataFrame(made, index=frame.index)


def _frame(value: Any, names: Sequence[str]) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        return pd.DataFrame(value)
    if isinstance(value, Mapping):
        return pd.DataFrame(dict(value))
    if isinstance(value, list) and all(
        isinstance(row, (list, tuple)) and len(row) == len(names) for row in value
    ):
        return pd.DataFrame(value, columns=list(names))
    if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == len(names):
        return pd.DataFrame(value, columns=list(names))
    return None


def _converted(series: Any, name: str, dtype: str) -> Any:
    import pandas as pd

    try:
        if dtype in _TEXT:
            return _text(series, dtype)
        if dtype == "bool":
            return _flags(series)
        if dtype.startswith(("int", "uint", "float")):
            return _numbers(series, dtype)
        if dtype.startswith("datetime64"):
            return _moments(series, dtype)
        if dtype.startswith("timedelta64"):
            return pd.to_timedelta(series).astype(dtype)
        return series.astype(dtype)
    except InvalidInputError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError(f"column {name!r} must be {dtype}: {error}") from error


def _text(series: Any, dtype: str) -> Any:
    import pandas as pd

    found = pd.api.types.infer_dtype(series, skipna=True)
    if dtype == "object":
        return series.astype(object)
    if found not in {"string", "empty"} and not series.isna().all():
        raise ValueError(f"it holds {found} values")
    # Before pandas 3 `str` was no dtype that has missing values: it would make the text "nan" of them.
    new = int(pd.__version__.partition(".")[0]) >= 3
    return series.astype(dtype if new or dtype == "string" else object)


def _flags(series: Any) -> Any:
    if series.isna().any():
        raise ValueError("it has missing values")
    if not series.isin([True, False]).all():  # 0 and 1 are equal to them; the text "false" is not
        raise ValueError("it holds other values than true and false")
    return series.astype(bool)


def _numbers(series: Any, dtype: str) -> Any:
    """Missing values make whole numbers float64, as in pandas everywhere."""
    import pandas as pd

    if pd.api.types.infer_dtype(series, skipna=True) == "string":
        raise ValueError("it holds text")
    numbers = pd.to_numeric(series)
    if dtype.startswith("float"):
        return numbers.astype(dtype)
    if numbers.isna().any():
        return numbers.astype("float64")
    whole = numbers.astype(dtype)
    if not (whole == numbers).all():
        raise ValueError("it holds fractions, or numbers that are too large")
    return whole


def _moments(series: Any, dtype: str) -> Any:
    import pandas as pd

    moments = pd.to_datetime(series)
    zoned = isinstance(pd.api.types.pandas_dtype(dtype), pd.DatetimeTZDtype)
    if zoned and moments.dt.tz is None:
        moments = moments.dt.tz_localize("UTC")
    if not zoned and moments.dt.tz is not None:
        moments = moments.dt.tz_convert("UTC").dt.tz_localize(None)
    return moments.astype(dtype)
