from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.errors import ResultMismatchError, UsageError
from tiffin.runtime.batching import rows

pd = pytest.importorskip("pandas")
torch = pytest.importorskip("torch")


class Pair(NamedTuple):
    label: Any
    score: Any


def values(count: int, start: int) -> list[Any]:
    """The same rows in every form that has rows."""
    numbers = list(range(start, start + count))
    return [
        np.array(numbers, dtype=np.int64).reshape(-1, 1),
        numbers,
        torch.tensor(numbers, dtype=torch.int64),
        pd.DataFrame({"a": numbers, "b": [str(n) for n in numbers]}).astype({"a": "int64", "b": "object"}),
        pd.Series(numbers, dtype="int64"),
    ]


def plain(value: Any) -> Any:
    return (
        value.to_numpy().tolist() if hasattr(value, "to_numpy") else list(map(int, np.asarray(value).ravel()))
    )


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_what_is_joined_comes_apart_the_same(counts: list[int]) -> None:
    starts = [sum(counts[:place]) for place in range(len(counts))]
    calls = [values(count, start) for count, start in zip(counts, starts, strict=True)]
    assert [rows.count(call) for call in calls] == counts
    assert len({rows.shape_key(call) for call in calls}) == 1
    joined = rows.join(calls)
    assert rows.count(joined) == sum(counts)
    for place, column in enumerate(joined):
        for call, part in zip(calls, rows.split(column, counts), strict=True):
            assert type(part) is type(call[place])
            assert plain(part) == plain(call[place])


def test_joined_arrays_are_one_contiguous_buffer_and_parts_are_views() -> None:
    (joined,) = rows.join([(np.ones((2, 3)).T[:, :2].T,), (np.zeros((1, 3)),)])
    assert joined.flags.c_contiguous
    assert all(np.shares_memory(part, joined) for part in rows.split(joined, [2, 1]))


def test_a_single_call_is_not_copied() -> None:
    array = np.ones((2, 3))
    assert rows.join([(array,)])[0] is array
    assert rows.split(array, [2])[0] is array


@pytest.mark.parametrize(
    "other",
    [
        (np.zeros((1, 4)),),
        (np.zeros((1, 3), np.float32),),
        (np.zeros((1, 3, 1)),),
        ([1],),
        (np.zeros((1, 3)), np.zeros((1, 3))),
        (torch.zeros(1, 3),),
        (pd.DataFrame({"a": [1]}),),
    ],
    ids=str,
)
def test_what_differs_has_another_key(other: tuple[Any, ...]) -> None:
    assert rows.shape_key(other) != rows.shape_key((np.zeros((2, 3)),))


def test_frames_with_other_columns_have_another_key() -> None:
    keys = {
        rows.shape_key((table,))
        for table in [
            pd.DataFrame({"a": [1]}),
            pd.DataFrame({"b": [1]}),
            pd.DataFrame({"a": [1.0]}),
            pd.DataFrame({"a": [1], "b": [1]}),
        ]
    }
    assert len(keys) == 4


def test_leaves_of_tuples_and_dicts_are_split() -> None:
    result = Pair({"words": ["a", "b", "c"]}, (np.arange(3), torch.arange(3)))
    parts = rows.split(result, [1, 2])
    assert [type(part) for part in parts] == [Pair, Pair]
    assert parts[0].label == {"words": ["a"]}
    assert parts[1].score[1].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (np.zeros(4), "4 rows"),
        (np.float64(1), "float64"),
        (np.array(1.0), "0-dimensional array"),
        ([1, 2], "2 rows"),
        (None, "NoneType"),
        ("abc", "of type str"),
        ({"a": [1, 2, 3], "b": [1]}, r"1 rows at result\['b'\]"),
        ([(1, 2, 3)] * 2, "2 rows"),
        ((), "tuple"),
        ({}, "dict"),
    ],
)
def test_a_wrong_number_of_rows_is_told_with_its_place(result: Any, told: str) -> None:
    with pytest.raises(ResultMismatchError, match=told):
        rows.split(result, [1, 2])


def test_arguments_with_different_rows_are_told() -> None:
    with pytest.raises(UsageError, match="argument 2 of a batch method has 1 rows and argument 1 has 2"):
        rows.count(([1, 2], [1]))
    with pytest.raises(UsageError, match="0-dimensional array"):
        rows.count((np.array(1),))
    with pytest.raises(UsageError, match="needs its rows"):
        rows.count(())


def test_one_row_in_one_row_out() -> None:
    array, tensor, number, text, table = rows.one(
        (np.zeros(3), torch.zeros(3), np.float32(2), "text", pd.Series({"a": 1, "b": 2}))
    )
    assert array.shape == (1, 3)
    assert tensor.shape == (1, 3)
    assert (number.tolist(), number.dtype) == ([2.0], np.float32)
    assert text == ["text"]
    assert table.to_dict("records") == [{"a": 1, "b": 2}]
    assert rows.first({"a": [7], "b": (np.array([8]), pd.Series([9], index=[5]))}) == {"a": 7, "b": (8, 9)}
    assert rows.first(Pair(["x"], [1])) == Pair("x", 1)
