"""What calls weigh, and batches of fixed numbers of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tiffin.errors import InferenceError, InvalidInputError, ResultMismatchError, UsageError
from tiffin.runtime.batching.cost import Cost
from tiffin.runtime.batching.padding import Padding
from tiffin.runtime.batching.sizes import with_sizes
from tiffin.runtime.manifest import MethodSpec, PaddingSpec

pd = pytest.importorskip("pandas")


def weigh(function: Any, *args: Any, **kwargs: Any) -> int:
    spec = MethodSpec(cost="length" if function is None else "toy:cost", max_cost=10)
    return Cost("toy.f", spec, function)(args, kwargs, len(args[0]), None)


@pytest.mark.parametrize(
    ("function", "weight"),
    [
        (lambda texts: [len(text) for text in texts], 7),
        (lambda texts: np.array([len(text) for text in texts]), 7),
        (lambda texts: sum(map(len, texts)), 7),
        (lambda texts: 2.1, 3),
        (lambda texts: np.float32(2), 2),
        (lambda texts: 0, 1),
        (None, 7),
    ],
)
def test_a_number_for_all_or_one_for_each_row(function: Any, weight: int) -> None:
    assert weigh(function, ["abc", "", "defg"]) == weight


def test_the_function_is_given_the_constants_it_names() -> None:
    assert weigh(lambda texts, *, new=1: new * len(texts), ["a", "b"], new=5, other=7) == 10
    assert weigh(lambda texts, **rest: len(rest), ["a"], new=5, other=7) == 2


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda texts: 1 / 0, r"cost= of toy\.f failed: ZeroDivisionError: division by zero"),
        (lambda texts: [1], r"it gave 1 weights for 2 rows"),
        (lambda texts: -1, r"it gave -1; give a number of 0 or more"),
        (lambda texts: float("nan"), r"it gave nan"),
        (lambda texts: None, r"it gave None"),
        (lambda texts: ["a", "b"], r"TypeError"),
    ],
)
def test_a_function_that_fails_is_named(function: Any, words: str) -> None:
    with pytest.raises(InferenceError, match=words):
        weigh(function, ["a", "b"])


def test_a_function_may_refuse_the_caller() -> None:
    def cost(texts: list[str]) -> int:
        raise InvalidInputError("too long")

    with pytest.raises(InvalidInputError, match="too long"):
        weigh(cost, ["a"])


def test_length_counts_the_axis_and_what_is_padded() -> None:
    assert weigh(None, np.zeros((2, 5, 3))) == 10
    with pytest.raises(UsageError, match="give cost= a function"):
        weigh(None, np.zeros(2))
    with pytest.raises(UsageError, match="give cost= a function"):
        weigh(None, [1, 2])
    spec = MethodSpec(cost="length", max_cost=10, padding=PaddingSpec(value=0, buckets=[8]))
    args = [[[1, 2], [3]]]
    assert Cost("toy.f", spec, None)(args, {}, 2, Padding("toy.f", spec).take(args, {})) == 16


def test_a_function_that_is_not_here_is_missed() -> None:
    with pytest.raises(UsageError, match=r"toy\.f weighs its calls with toy:cost"):
        Cost("toy.f", MethodSpec(cost="toy:cost", max_cost=1), None)


@pytest.mark.parametrize(("rows", "seen"), [(0, 0), (1, 1), (2, 4), (4, 4), (5, 8), (8, 8), (9, 9)])
def test_the_method_sees_only_the_sizes(rows: int, seen: int) -> None:
    sizes: list[int] = []

    def method(array: Any, table: Any, texts: Any, *, k: int) -> Any:
        sizes.append(len(array))
        assert len(table) == len(texts) == len(array)
        return {"array": array * k, "table": table, "texts": texts}

    array = np.arange(rows)
    table = pd.DataFrame({"a": array})
    texts = [str(n) for n in array]
    result = with_sizes(method, [1, 4, 8])(array, table, texts, k=2)
    assert sizes == [seen]
    assert result["array"].tolist() == [2 * n for n in range(rows)]
    assert result["table"]["a"].tolist() == list(range(rows))
    assert result["texts"] == texts


def test_a_result_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(ResultMismatchError, match="a batch of 4 rows came back as 3 rows"):
        with_sizes(lambda array: array[:3], [4])(np.arange(3))
