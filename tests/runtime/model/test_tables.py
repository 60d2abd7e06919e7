from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tiffin.errors import InvalidInputError
from tiffin.runtime.batching import rows
from tiffin.runtime.manifest import MethodSpec, TypeSpec
from tiffin.runtime.model.signature import spec_of
from tiffin.runtime.model.tables import fitted, table_fit, with_categories

TRAINED = pd.DataFrame(
    {
        "age": pd.Series([39, 40], dtype="int64"),
        "fare": [7.25, 8.0],
        "town": ["Ulm", "Bern"],
        "member": [True, False],
        "since": pd.to_datetime(["2020-01-01", "2021-01-01"]),
        "level": pd.Categorical(["low", "high"]),
    }
)
RECORD = {"age": 5, "fare": 1, "town": "Rom", "member": True, "since": "2022-02-02", "level": "low"}


def method() -> MethodSpec:
    return MethodSpec(inputs={"X": spec_of(TRAINED)})


def test_records_get_the_dtypes_of_the_example_and_join() -> None:
    fit = table_fit(method())
    assert fit is not None
    calls = [
        [RECORD],
        [{**RECORD, "fare": 2.5, "town": None, "level": "high"}],
        pd.DataFrame([dict(reversed({**RECORD, "fare": None, "more": 1}.items()))]),
        TRAINED,
    ]
    args = [fit((call,)) for call in calls]
    assert len({rows.shape_key(one) for one in args}) == 1
    seen: list[Any] = []
    with_categories(seen.append, method())(*rows.join(args))
    assert seen[0].dtypes.astype(str).to_dict() == TRAINED.dtypes.astype(str).to_dict()
    assert seen[0]["level"].tolist() == ["low", "high", "low", "low", "high"]
    assert seen[0]["fare"].tolist()[:2] == [1.0, 2.5]
    assert seen[0]["since"][0] == pd.Timestamp("2022-02-02")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"age": "old"}, "column 'age' must be int64: it holds text"),
        ({"age": 1.5}, "column 'age' must be int64: it holds fractions"),
        ({"member": "false"}, "column 'member' must be bool: it holds other values"),
        ({"member": None}, "column 'member' must be bool: it has missing values"),
        ({"town": 8000}, "column 'town' must be (str|object): it holds integer values"),
        ({"since": "tomorrow"}, "column 'since' must be datetime64"),
    ],
)
def test_what_a_column_cannot_hold_is_the_callers_fault(change: dict[str, Any], words: str) -> None:
    columns = {**(spec_of(TRAINED).columns or {}), "town": "str"}
    with pytest.raises(InvalidInputError, match=words):
        fitted([{**RECORD, **change}], columns)


def test_missing_columns_and_missing_numbers() -> None:
    columns = {"age": "int64", "fare": "float32"}
    with pytest.raises(InvalidInputError, match="column 'fare' is missing; the model takes age, fare"):
        fitted([{"age": 1}], columns)
    frame = fitted({"age": [1, None], "fare": [None, None]}, columns)
    assert (str(frame["age"].dtype), str(frame["fare"].dtype)) == ("float64", "float32")
    assert frame["fare"].isna().all()


def test_arrays_and_lists_of_rows_get_the_names() -> None:
    columns = {"a": "float64", "b": "int64"}
    for value in (np.array([[1.0, 2.0]]), [[1, 2]], [(1.0, 2)]):
        frame = fitted(value, columns)
        assert frame.to_dict("records") == [{"a": 1.0, "b": 2}]
    assert fitted(np.zeros((2, 3)), columns).shape == (2, 3)  # the model refuses it in its own words


def test_nothing_is_done_where_no_columns_are_known() -> None:
    plain = MethodSpec(inputs={"x": TypeSpec(kind="array", dtype="float32", shape=["n", 4])})
    assert table_fit(plain) is None
    assert with_categories(len, plain) is len


def test_frames_with_other_categories_do_not_join_by_themselves() -> None:
    one = pd.DataFrame({"a": pd.Categorical(["x"])})
    other = pd.DataFrame({"a": pd.Categorical(["y"])})
    assert rows.shape_key((one,)) != rows.shape_key((other,))
    assert rows.shape_key((one,)) == rows.shape_key((one.copy(),))
